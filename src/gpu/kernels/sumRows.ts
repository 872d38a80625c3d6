import shader from '../../../shaders/sum_rows.wgsl?raw';
import {
  cpuTensor,
  cpuValues,
  defineKernel,
  dispatch,
  emptyTensor,
  releaseTensor,
  type TensorInfo,
} from '../runtime.ts';

/** Rows that one invocation adds: enough to be worth a dispatch, few enough to keep a GPU busy. */
const rowsPerSum = 64;

function webgpu(x: TensorInfo): TensorInfo {
  const [batch, rows, columns] = x.shape as [number, number, number];
  const chunks = Math.ceil(rows / rowsPerSum);
  const y = emptyTensor([batch, chunks, columns]);
  dispatch({
    shader,
    label: 'sum_rows',
    outputs: [y],
    inputs: [x],
    uniforms: [rows, columns, rowsPerSum],
    workgroups: [Math.ceil(columns / 64), chunks, batch],
  });
  if (chunks === 1) return { ...y, shape: [batch, columns] };
  const sum = webgpu(y);
  releaseTensor(y);
  return sum;
}

const run = defineKernel<{ x: TensorInfo }, object>({
  name: 'SumRows',
  webgpu: ({ x }) => [webgpu(x)],
  cpu: ({ x }) => {
    const [batch, rows, columns] = x.shape as [number, number, number];
    const values = cpuValues(x);
    const y = new Float32Array(batch * columns);
    for (let n = 0; n < batch; n++) {
      for (let c = 0; c < columns; c++) {
        let sum = 0;
        for (let row = 0; row < rows; row++) sum += values[(n * rows + row) * columns + c]!;
        y[n * columns + c] = sum;
      }
    }
    return [cpuTensor([batch, columns], y)];
  },
});

/**
 * [batch, rows, columns] -> [batch, columns], always in the same order. Not differentiable: a building block of gradients.
 */
export function sumRows(x: TensorInfo): TensorInfo {
  return run({ x }, {})[0]!;
}

/** The same inside another WebGPU kernel, whose partial sums it frees. */
export function sumAndReleaseRows(x: TensorInfo): TensorInfo {
  const sum = webgpu(x);
  releaseTensor(x);
  return sum;
}

import shader from '../../../shaders/sum_rows.wgsl?raw';
import {
  cpuTensor,
  cpuValues,
  defineKernel,
  dispatch,
  emptyTensor,
  releaseTensor,
  type Tensor,
  type TensorInfo,
} from '../runtime.ts';

/** Rows that one invocation adds: enough to be worth a dispatch, few enough to keep a GPU busy. */
const rowsPerSum = 64;

type Shape = readonly [batch: number, rows: number, columns: number];

function webgpu(x: TensorInfo, [batch, rows, columns]: Shape): TensorInfo {
  const chunks = Math.ceil(rows / rowsPerSum);
  const y = emptyTensor(chunks === 1 ? [batch, columns] : [batch, chunks, columns]);
  dispatch({
    shader,
    label: 'sum_rows',
    outputs: [y],
    inputs: [x],
    uniforms: [rows, columns, rowsPerSum],
    workgroups: [Math.ceil(columns / 64), chunks, batch],
  });
  return chunks === 1 ? y : sumAndReleaseRows(y, [batch, chunks, columns]);
}

const run = defineKernel<{ x: TensorInfo }, { readonly shape: Shape }>({
  name: 'SumRows',
  webgpu: ({ x }, { shape }) => [webgpu(x, shape)],
  cpu: ({ x }, { shape: [batch, rows, columns] }) => {
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
 * x as [batch, rows, columns] -> [batch, columns], always added in the same order. Not differentiable: a part of gradients.
 */
export function sumRows(x: Tensor, shape: Shape): Tensor {
  return run({ x }, { shape })[0]!;
}

/** The same inside another WebGPU kernel, whose partial sums it frees. */
export function sumAndReleaseRows(x: TensorInfo, shape: Shape): TensorInfo {
  const sum = webgpu(x, shape);
  releaseTensor(x);
  return sum;
}

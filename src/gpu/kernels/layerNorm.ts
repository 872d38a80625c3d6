import shader from '../../../shaders/layer_norm.wgsl?raw';
import {
  accumulating,
  cpuTensor,
  cpuValues,
  defineKernel,
  differentiable,
  dispatch,
  emptyTensor,
  type Tensor,
  type TensorInfo,
} from '../runtime.ts';
import { flatGrid } from './grid.ts';
import { invariant } from '../../core/invariant.ts';

const run = defineKernel<
  {
    x: TensorInfo;
    gamma: TensorInfo;
    beta?: TensorInfo | null;
    dy?: TensorInfo | null;
    /** Backward: what is added to the gradient. */
    addend?: TensorInfo | null;
  },
  { readonly epsilon: number }
>({
  name: 'LayerNorm',
  webgpu: ({ x, gamma, beta = null, dy = null, addend = null }, { epsilon }) => {
    const { rows, columns } = sizes(x, gamma);
    const out = emptyTensor(x.shape);
    dispatch({
      shader,
      label: 'layer_norm',
      constants: { BACKWARD: dy !== null, ACCUMULATE: addend !== null },
      outputs: [out],
      inputs: [x, gamma, beta, dy, addend],
      uniforms: [rows, columns / 4, { f32: epsilon }],
      workgroups: flatGrid(rows, 8),
    });
    return [out];
  },
  cpu: ({ x, gamma, beta, dy, addend }, { epsilon }) => {
    const { rows, columns } = sizes(x, gamma);
    const values = cpuValues(x);
    const weight = cpuValues(gamma);
    const bias = beta ? cpuValues(beta) : null;
    const upstream = dy ? cpuValues(dy) : null;
    const before = addend ? cpuValues(addend) : null;
    const out = new Float32Array(values.length);
    for (let base = 0; base < rows * columns; base += columns) {
      const mean = average(columns, (i) => values[base + i]!);
      const variance = average(columns, (i) => (values[base + i]! - mean) ** 2);
      const scale = 1 / Math.sqrt(variance + epsilon);
      const xhat = (i: number): number => (values[base + i]! - mean) * scale;
      if (upstream) {
        const g = (i: number): number => upstream[base + i]! * weight[i]!;
        const meanG = average(columns, g);
        const meanGx = average(columns, (i) => g(i) * xhat(i));
        for (let i = 0; i < columns; i++) {
          out[base + i] = scale * (g(i) - meanG - xhat(i) * meanGx) + (before ? before[base + i]! : 0);
        }
      } else {
        for (let i = 0; i < columns; i++) out[base + i] = xhat(i) * weight[i]! + bias![i]!;
      }
    }
    return [cpuTensor(x.shape, out)];
  },
});

/**
 * LayerNorm (Ba et al. 2016) of x `[..., C]` over its last axis, with the biased variance; gamma and beta are float32 `[C]`
 * and frozen. C must be a multiple of 4.
 */
export function layerNorm(x: Tensor, gamma: Tensor, beta: Tensor, epsilon: number): Tensor {
  return differentiable(
    { x },
    (save) => {
      save([x, gamma]);
      return run({ x, gamma, beta }, { epsilon })[0]!;
    },
    (dy, [savedX, savedGamma]) => ({
      x: accumulating((addend) => run({ x: savedX!, gamma: savedGamma!, dy, addend }, { epsilon })[0]!),
    }),
  );
}

function sizes(x: TensorInfo, gamma: TensorInfo): { readonly rows: number; readonly columns: number } {
  const columns = x.shape.at(-1) ?? 0;
  invariant(columns > 0 && columns % 4 === 0, 'layerNorm: the last axis must be a multiple of 4', { shape: x.shape });
  invariant(gamma.shape[0] === columns, 'layerNorm: gamma must have as many values as x has columns', {
    shape: x.shape,
    gamma: gamma.shape,
  });
  return { rows: x.shape.slice(0, -1).reduce((a, b) => a * b, 1), columns };
}

function average(count: number, f: (i: number) => number): number {
  let sum = 0;
  for (let i = 0; i < count; i++) sum += f(i);
  return sum / count;
}

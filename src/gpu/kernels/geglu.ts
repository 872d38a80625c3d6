import shader from '../../../shaders/geglu.wgsl?raw';
import {
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

const run = defineKernel<{ x: TensorInfo; dy?: TensorInfo | null }, object>({
  name: 'Geglu',
  webgpu: ({ x, dy = null }) => {
    const { rows, columns } = sizes(x);
    const out = emptyTensor(dy ? x.shape : halved(x.shape));
    const size4 = (rows * columns) / 4;
    dispatch({
      shader,
      label: 'geglu',
      constants: { BACKWARD: dy !== null },
      outputs: [out],
      inputs: [x, dy],
      uniforms: [size4, columns / 4],
      workgroups: flatGrid(size4, 256),
    });
    return [out];
  },
  cpu: ({ x, dy }) => {
    const { rows, columns } = sizes(x);
    const values = cpuValues(x);
    const upstream = dy ? cpuValues(dy) : null;
    const out = new Float32Array(upstream ? values.length : values.length / 2);
    for (let i = 0; i < rows * columns; i++) {
      const at = i + Math.floor(i / columns) * columns;
      const a = values[at]!;
      const b = values[at + columns]!;
      const cdf = normalCdf(b);
      if (upstream) {
        out[at] = upstream[i]! * b * cdf;
        out[at + columns] = upstream[i]! * a * (cdf + (b * Math.exp(-0.5 * b * b)) / Math.sqrt(2 * Math.PI));
      } else {
        out[i] = a * b * cdf;
      }
    }
    return [cpuTensor(upstream ? x.shape : halved(x.shape), out)];
  },
});

/**
 * GEGLU (Shazeer 2020): x `[..., 2C]` to `[..., C]`, its first half times the GELU of its second, with the exact GELU
 * b * (1 + erf(b / sqrt(2))) / 2. C must be a multiple of 4.
 */
export function geglu(x: Tensor): Tensor {
  return differentiable(
    { x },
    (save) => {
      save([x]);
      return run({ x }, {})[0]!;
    },
    (dy, [saved]) => ({ x: () => run({ x: saved!, dy }, {})[0]! }),
  );
}

function sizes(x: TensorInfo): { readonly rows: number; readonly columns: number } {
  const columns = (x.shape.at(-1) ?? 0) / 2;
  invariant(columns % 4 === 0 && columns > 0, 'geglu: the last axis must be a multiple of 8', { shape: x.shape });
  return { rows: x.shape.slice(0, -1).reduce((a, b) => a * b, 1), columns };
}

function halved(shape: readonly number[]): number[] {
  return shape.map((n, axis) => (axis === shape.length - 1 ? n / 2 : n));
}

/**
 * The normal distribution's cumulative function to double precision, for the reference: by its Taylor series
 * 1/2 + density(x) * (x + x^3/3 + x^5/(3*5) + ...) in the middle, by the tail's continued fraction outside (Abramowitz &
 * Stegun 26.2.11 and 26.2.14).
 */
export function normalCdf(x: number): number {
  const density = Math.exp(-0.5 * x * x) / Math.sqrt(2 * Math.PI);
  if (Math.abs(x) < 3) {
    let term = x;
    let sum = x;
    for (let k = 3; Math.abs(term) > 1e-17 * Math.abs(sum); k += 2) sum += term *= (x * x) / k;
    return 0.5 + density * sum;
  }
  const z = Math.abs(x);
  let fraction = z;
  for (let k = 100; k >= 1; k--) fraction = z + k / fraction;
  const tail = density / fraction;
  return x < 0 ? tail : 1 - tail;
}

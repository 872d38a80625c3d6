/** GroupNorm with SiLU, and LayerNorm, against tfjs' moments and arithmetic: forward, and forward with backward. */
import { add, moments, mul, reshape, rsqrt, sigmoid, sub } from '@tensorflow/tfjs-core';
import { groupNorm, layerNorm, type Tensor } from '../../src/gpu/ops.ts';
import type { KernelCase } from '../compare.ts';
import { forwardAndBackward, Inputs, type ModelSizes } from './inputs.ts';

const epsilon = 1e-5;

export function normCases({ side, width, groups }: ModelSizes): (() => KernelCase)[] {
  return [
    () => groupNormCase(side, width, groups, false),
    () => groupNormCase(side / 2, width * 2, groups, false),
    () => groupNormCase(side, width, groups, true),
    () => layerNormCase(side ** 2, width, false),
    () => layerNormCase(side ** 2, width, true),
  ];
}

export function groupNormCase(side: number, width: number, groups: number, backward: boolean): KernelCase {
  const inputs = new Inputs();
  const x = inputs.float([1, side, side, width]);
  const gamma = inputs.float([width]);
  const beta = inputs.float([width]);
  const ours = (): Tensor => groupNorm(x, gamma, beta, { groups, epsilon, silu: true });
  const tfjs = (): Tensor => {
    const grouped = reshape(x, [1, side ** 2, groups, width / groups]);
    const { mean, variance } = moments(grouped, [1, 3], true);
    const normalised = reshape(mul(sub(grouped, mean), rsqrt(add(variance, epsilon))), x.shape);
    const y = add(mul(normalised, gamma), beta);
    return mul(y, sigmoid(y));
  };
  return pair('GroupNorm + SiLU', x, inputs, backward, ours, tfjs);
}

export function layerNormCase(rows: number, width: number, backward: boolean): KernelCase {
  const inputs = new Inputs();
  const x = inputs.float([1, rows, width]);
  const gamma = inputs.float([width]);
  const beta = inputs.float([width]);
  const ours = (): Tensor => layerNorm(x, gamma, beta, epsilon);
  const tfjs = (): Tensor => {
    const { mean, variance } = moments(x, -1, true);
    return add(mul(mul(sub(x, mean), rsqrt(add(variance, epsilon))), gamma), beta);
  };
  return pair('LayerNorm', x, inputs, backward, ours, tfjs);
}

/** A case of one input: forward alone, or forward and backward by each side's own gradients. */
export function pair(
  name: string,
  x: Tensor,
  inputs: Inputs,
  backward: boolean,
  ours: () => Tensor,
  tfjs: () => Tensor,
  /** Bytes moved, as a share of what an op moves whose output is like its input. */
  share = 1,
): KernelCase {
  const run = (f: () => Tensor) => (): Tensor[] => (backward ? forwardAndBackward(f, x) : [f()]);
  return {
    name: backward ? `${name}, forward and backward` : name,
    shape: x.shape.join(' x '),
    // Forward reads x and writes y; backward reads x and dy and writes dx.
    bytes: x.size * 4 * (backward ? 5 : 2) * share,
    ours: run(ours),
    tfjs: run(tfjs),
    dispose: () => inputs.dispose(),
  };
}

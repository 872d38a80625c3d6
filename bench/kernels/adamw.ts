/** AdamW over all parameters of a LoRA, end to end in one page, against the same update composed of tfjs ops. */
import { add, div, keep, mul, sqrt, square, sub, zerosLike } from '@tensorflow/tfjs-core';
import { optimizerDefaults } from '../../src/core/trainOptions.ts';
import { adamwStep, pageBlock, type Tensor } from '../../src/gpu/ops.ts';
import type { KernelCase } from '../compare.ts';
import { Inputs, type ModelSizes } from './inputs.ts';

/** A and B of q|k|v, out, q, k|v, out for a transformer at each of SD1.5's levels. */
export function adamwCases({ width, contextWidth }: ModelSizes): (() => KernelCase)[] {
  const rank = 4;
  const shapes = [1, 2, 4, 4].flatMap((factor) => {
    const c = width * factor;
    const branch = (inFeatures: number, groups: number): number[][] => [
      [groups * rank, inFeatures],
      [groups * c, rank],
    ];
    return [...branch(c, 3), ...branch(c, 1), ...branch(c, 1), ...branch(contextWidth, 2), ...branch(c, 1)];
  });
  return [() => adamwCase(shapes)];
}

interface Moments {
  parameter: Tensor;
  m: Tensor;
  v: Tensor;
}

function adamwCase(shapes: readonly (readonly number[])[]): KernelCase {
  const inputs = new Inputs();
  const blocks = shapes
    .map((shape) => Math.ceil(shape.reduce((a, b) => a * b, 1) / pageBlock))
    .reduce((a, b) => a + b, 0);
  const shape = [blocks * pageBlock];
  const initial = inputs.noise(shape, 1);
  const values = inputs.tensor(initial, shape);
  const gradients = inputs.float(shape, 0.01);
  const factors = inputs.tensor(new Float32Array(blocks).fill(1), [blocks]);
  const state = inputs.tensor(new Float32Array(2 * blocks * pageBlock), [2 * blocks * pageBlock]);
  const report = inputs.tensor(Float32Array.of(1, 1), [2]);
  const start = inputs.tensor(initial, shape);
  const theirs: Moments = { parameter: start.clone(), m: zerosLike(start), v: zerosLike(start) };
  const { learningRate, beta1, beta2, epsilon, weightDecay } = optimizerDefaults.adamw;
  /** As at the first step, at every call: the cost does not depend on it. */
  const step = 1;
  const composed = (gradient: Tensor): void => {
    const m = add(mul(theirs.m, beta1), mul(gradient, 1 - beta1));
    const v = add(mul(theirs.v, beta2), mul(square(gradient), 1 - beta2));
    const denominator = add(sqrt(div(v, 1 - beta2 ** step)), epsilon);
    const update = mul(div(m, denominator), learningRate / (1 - beta1 ** step));
    const parameter = sub(mul(theirs.parameter, 1 - learningRate * weightDecay), update);
    for (const old of [theirs.parameter, theirs.m, theirs.v]) old.dispose();
    Object.assign(theirs, { parameter: keep(parameter), m: keep(m), v: keep(v) });
  };
  return {
    name: 'AdamW',
    shape: `${shapes.length} tensors of a LoRA of rank 4`,
    // Parameter and two moments in and out, the gradient in.
    bytes: blocks * pageBlock * 7 * 4,
    ours: () => {
      adamwStep({ values, gradients, factors }, state, report, { ...optimizerDefaults.adamw, step });
      return [values.clone()];
    },
    tfjs: () => {
      composed(gradients);
      return [theirs.parameter.clone()];
    },
    dispose: () => {
      for (const t of [theirs.parameter, theirs.m, theirs.v]) t.dispose();
      inputs.dispose();
    },
  };
}

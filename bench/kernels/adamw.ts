/** AdamW over the parameters of a LoRA against the same update composed of tfjs ops, parameter by parameter. */
import { add, div, keep, mul, sqrt, square, sub, zerosLike } from '@tensorflow/tfjs-core';
import { adamwStep, createAdamState, disposeAdamState, type Tensor } from '../../src/gpu/ops.ts';
import { defaultAdamW } from '../../src/trainer/trainer.ts';
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
  const initial = shapes.map((shape) => inputs.noise(shape, 1));
  const parameters = initial.map((values, i) => inputs.tensor(values, shapes[i]!));
  const gradients = shapes.map((shape) => inputs.float(shape, 0.01));
  const state = createAdamState(parameters);
  const theirs = initial.map((values, i): Moments => {
    const parameter = inputs.tensor(values, shapes[i]!);
    return { parameter: parameter.clone(), m: zerosLike(parameter), v: zerosLike(parameter) };
  });
  const { learningRate, beta1, beta2, epsilon, weightDecay } = defaultAdamW;
  /** As at the first step, at every call: the cost does not depend on it. */
  const step = 1;
  const composed = (item: Moments, gradient: Tensor): void => {
    const m = add(mul(item.m, beta1), mul(gradient, 1 - beta1));
    const v = add(mul(item.v, beta2), mul(square(gradient), 1 - beta2));
    const denominator = add(sqrt(div(v, 1 - beta2 ** step)), epsilon);
    const update = mul(div(m, denominator), learningRate / (1 - beta1 ** step));
    const parameter = sub(mul(item.parameter, 1 - learningRate * weightDecay), update);
    for (const old of [item.parameter, item.m, item.v]) old.dispose();
    Object.assign(item, { parameter: keep(parameter), m: keep(m), v: keep(v) });
  };
  return {
    name: 'AdamW',
    shape: `${shapes.length} tensors of a LoRA of rank 4`,
    // Parameter and two moments in and out, the gradient in.
    bytes: shapes.reduce((sum, shape) => sum + shape.reduce((a, b) => a * b, 1), 0) * 7 * 4,
    ours: () => {
      adamwStep(parameters, gradients, state, { ...defaultAdamW, step });
      return parameters.map((parameter) => parameter.clone());
    },
    tfjs: () => {
      theirs.forEach((item, i) => composed(item, gradients[i]!));
      return theirs.map(({ parameter }) => parameter.clone());
    },
    dispose: () => {
      disposeAdamState(state);
      for (const { parameter, m, v } of theirs) for (const t of [parameter, m, v]) t.dispose();
      inputs.dispose();
    },
  };
}

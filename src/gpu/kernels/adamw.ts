/** AdamW (Loshchilov & Hutter 2019) as `torch.optim.AdamW` does it, in place on the GPU. */
import shader from '../../../shaders/adamw.wgsl?raw';
import { invariant } from '../../core/invariant.ts';
import type { Tensor } from '../runtime.ts';
import { defineElementwise, type ParameterPage, type StepReport } from './parameterPage.ts';

export interface AdamWStep {
  readonly learningRate: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  readonly weightDecay: number;
  /** 1 for the first step. */
  readonly step: number;
}

/** What the kernel reads, in the order of its struct `Hyper`; computed in double as torch does. */
export function adamHyper({ learningRate, beta1, beta2, epsilon, weightDecay, step }: AdamWStep): number[] {
  invariant(Number.isInteger(step) && step >= 1, 'AdamW: steps count from 1', { step });
  return [
    learningRate * weightDecay,
    1 - beta1,
    beta2,
    1 - beta2,
    Math.sqrt(1 - beta2 ** step),
    epsilon,
    learningRate / (1 - beta1 ** step),
  ];
}

/** The new moments and the change of a value, by {@link adamHyper}'s numbers: for CPU references. */
export function adamUpdate(
  hyper: ArrayLike<number>,
  m: number,
  v: number,
  gradient: number,
): { readonly m: number; readonly v: number; readonly step: number } {
  const [, oneMinusBeta1, beta2, oneMinusBeta2, rootCorrection2, epsilon, stepSize] = hyper as unknown as Hyper;
  const nextM = m + oneMinusBeta1 * (gradient - m);
  const nextV = beta2 * v + oneMinusBeta2 * gradient ** 2;
  return { m: nextM, v: nextV, step: (stepSize * nextM) / (Math.sqrt(nextV) / rootCorrection2 + epsilon) };
}

type Hyper = readonly [number, number, number, number, number, number, number];

const run = defineElementwise({
  name: 'AdamW',
  label: 'adamw',
  shader,
  update: ({ values, state, gradients, hyper }, i, scale, factor) => {
    const { m, v, step } = adamUpdate(hyper, state[2 * i]!, state[2 * i + 1]!, gradients[i]! * scale);
    state[2 * i] = m;
    state[2 * i + 1] = v;
    values[i] = (1 - factor * hyper[0]!) * values[i]! - factor * step;
  },
});

/** One step in place. `state`: [2 * size], running means of each value's gradient and of its square; zeros at first. */
export function adamwStep(page: ParameterPage, state: Tensor, report: StepReport, options: AdamWStep): void {
  run(page, state, report, adamHyper(options));
}

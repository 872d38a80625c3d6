/** Lion (Chen et al. 2023, "Symbolic discovery of optimization algorithms") as lion-pytorch does it, in place on the GPU. */
import shader from '../../../shaders/lion.wgsl?raw';
import type { Tensor } from '../runtime.ts';
import { defineElementwise, type ParameterPage, type StepReport } from './parameterPage.ts';

export interface LionStep {
  readonly learningRate: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly weightDecay: number;
}

const run = defineElementwise({
  name: 'Lion',
  label: 'lion',
  shader,
  update: ({ values, state, gradients, hyper }, i, scale, factor) => {
    const [decay, beta1, oneMinusBeta1, beta2, oneMinusBeta2, learningRate] = hyper as unknown as Hyper;
    const gradient = gradients[i]! * scale;
    const direction = Math.sign(beta1 * state[i]! + oneMinusBeta1 * gradient);
    values[i] = (1 - factor * decay) * values[i]! - factor * learningRate * direction;
    state[i] = beta2 * state[i]! + oneMinusBeta2 * gradient;
  },
});

type Hyper = readonly [number, number, number, number, number, number];

/** One step in place. `state`: [size], a running mean of each value's gradient; zeros at first. */
export function lionStep(page: ParameterPage, state: Tensor, report: StepReport, options: LionStep): void {
  const { learningRate, beta1, beta2, weightDecay } = options;
  run(page, state, report, [learningRate * weightDecay, beta1, 1 - beta1, beta2, 1 - beta2, learningRate]);
}

/**
 * The optimizers by name: each changes the pages of {@link FlatParameters} in place. A step is recorded before it is known whether
 * it will be applied (the GPU decides, see gradientNorm.ts), so it counts once `commit` is called.
 */
import type { OptimizerOptions } from '../core/trainOptions.ts';
import { InvariantError } from '../core/errors.ts';
import {
  adamw8bitStep,
  adamwStep,
  createAdamW8bitState,
  lionStep,
  tensor,
  type StepReport,
  type Tensor,
} from '../gpu/ops.ts';
import type { FlatParameters } from './flatParameters.ts';

export class Optimizer {
  /** Steps that were applied. */
  steps = 0;

  private constructor(
    /** What it remembers. */
    readonly buffers: readonly Tensor[],
    private readonly record: (learningRate: number, step: number, report: StepReport) => void,
  ) {}

  static create(parameters: FlatParameters, options: OptimizerOptions): Optimizer {
    const { pages } = parameters;
    const zeros = (perValue: number): Tensor[] =>
      pages.map(({ values }) => tensor(new Float32Array(perValue * values.size), [perValue * values.size]));
    switch (options.name) {
      case 'adamw': {
        const states = zeros(2);
        return new Optimizer(states, (learningRate, step, report) => {
          parameters.pages.forEach((page, i) =>
            adamwStep(page, states[i]!, report, { ...options, learningRate, step }),
          );
        });
      }
      case 'lion': {
        const states = zeros(1);
        return new Optimizer(states, (learningRate, _step, report) => {
          parameters.pages.forEach((page, i) => lionStep(page, states[i]!, report, { ...options, learningRate }));
        });
      }
      case 'adamw8bit': {
        const states = pages.map((page) => createAdamW8bitState(page));
        return new Optimizer(states, (learningRate, step, report) => {
          parameters.pages.forEach((page, i) =>
            adamw8bitStep(page, states[i]!, report, { ...options, learningRate, step }),
          );
        });
      }
      case 'prodigy':
      case 'adafactor':
        throw new InvariantError(`The optimizer ${options.name} is not built yet`);
    }
  }

  /** Records one update of the parameters. */
  step(learningRate: number, report: StepReport): void {
    this.record(learningRate, this.steps + 1, report);
  }

  /** Says that the step recorded last was applied. */
  commit(): void {
    this.steps++;
  }

  dispose(): void {
    for (const t of this.buffers) t.dispose();
  }
}

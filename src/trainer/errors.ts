import { LoratoryError } from '../core/errors.ts';

/** A loss or the gradients overflowed. The step was not applied: the adapter is as it was before. */
export class NonFiniteStepError extends LoratoryError {
  readonly code = 'non-finite-step';

  /** `globalStep`: the step that failed, 1-based. */
  constructor(globalStep: number, loss: number, gradientNorm: number, learningRate: number) {
    super(
      `Step ${globalStep} gave no finite numbers (loss ${loss}, gradient norm ${gradientNorm}), so it was not applied.`,
      `Lower the learning rate (it was ${learningRate}) and keep the gradient norm limited.`,
      { globalStep, loss, gradientNorm, learningRate },
    );
  }
}

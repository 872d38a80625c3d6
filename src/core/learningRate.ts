/**
 * The learning rate as a pure function of the step, so that it can be drawn before the start and needs no state to resume.
 * The formulae are those of `get_scheduler` in diffusers (src/diffusers/optimization.py) and transformers, whose counter stands
 * at 0 during the first optimizer step.
 */
import type { LrSchedulerName, LrSchedulerOptions, TrainOptions } from './trainOptions.ts';

/** Where `polynomial` ends, as in diffusers. */
const polynomialEnd = 1e-7;

/** What suits each schedule where nobody says otherwise. */
export function defaultLrScheduler(name: LrSchedulerName, warmupSteps = 0): LrSchedulerOptions {
  return { name, warmupSteps, cycles: name === 'cosineWithRestarts' ? 1 : 0.5, power: 1 };
}

/** The optimizer steps over which the rate rises, of `total`: shares are cut off, as kohya does. */
export function warmupStepsOf({ name, warmupSteps }: LrSchedulerOptions, total: number): number {
  if (name === 'constant') return 0;
  return warmupSteps < 1 ? Math.floor(warmupSteps * total) : warmupSteps;
}

/** The rate of optimizer step `step` (from 0) of `options.maxTrainSteps`. */
export function learningRateAt(
  options: Pick<TrainOptions, 'learningRate' | 'lrScheduler' | 'maxTrainSteps'>,
  step: number,
): number {
  const { learningRate, lrScheduler, maxTrainSteps } = options;
  return learningRate * factorAt(lrScheduler, step, maxTrainSteps, learningRate);
}

function factorAt(scheduler: LrSchedulerOptions, step: number, total: number, learningRate: number): number {
  const { name, cycles, power } = scheduler;
  if (name === 'constant') return 1;
  const warmupSteps = warmupStepsOf(scheduler, total);
  if (step < warmupSteps) return step / Math.max(1, warmupSteps);
  const progress = (step - warmupSteps) / Math.max(1, total - warmupSteps);
  switch (name) {
    case 'constantWithWarmup':
      return 1;
    case 'linear':
      return Math.max(0, (total - step) / Math.max(1, total - warmupSteps));
    case 'cosine':
      return Math.max(0, 0.5 * (1 + Math.cos(Math.PI * cycles * 2 * progress)));
    case 'cosineWithRestarts':
      return progress >= 1 ? 0 : Math.max(0, 0.5 * (1 + Math.cos(Math.PI * ((cycles * progress) % 1))));
    case 'polynomial': {
      if (step > total) return polynomialEnd / learningRate;
      const left = (1 - progress) ** power;
      return ((learningRate - polynomialEnd) * left + polynomialEnd) / learningRate;
    }
  }
}

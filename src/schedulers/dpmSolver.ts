/**
 * DPM-Solver++ of second order, multistep (Lu et al. 2022, algorithm 2), which A1111 calls DPM++ 2M: an exponential integrator of the clean
 * sample in lambda = log(alpha / sigma), extrapolated from the last two predictions. The first step is of first order, and so is the
 * last, where lambda is infinite. Source: diffusers 0.40, DPMSolverMultistepScheduler ('dpmsolver++', 'midpoint'), and its defaults.
 */
import { noiseScheduleOf, withoutInfiniteSigma, type SchedulerConfig } from './noiseSchedule.ts';
import { levelAt, levelsOf, originalAtLevel } from './sigmas.ts';
import { solverGrid } from './spacing.ts';
import type { Scheduler } from './types.ts';

const { fround } = Math;
/** Walks with fewer steps end in first order whatever the last sigma is. */
const FEW_STEPS = 15;

/** A DPM++ 2M scheduler of `numInferenceSteps` steps. Throws InferenceStepsError for a number that the schedule does not have. */
export function createDpmSolverScheduler(config: SchedulerConfig, numInferenceSteps: number): Scheduler {
  const { finalSigmasType = 'zero' } = config;
  const schedule = withoutInfiniteSigma(noiseScheduleOf(config));
  const { timesteps, sigmas: begin, trainSigmas } = solverGrid(config, schedule, numInferenceSteps);
  const sigmas = Float32Array.from([...begin, finalSigmasType === 'zero' ? 0 : trainSigmas[0]!]);
  const levels = levelsOf(sigmas);
  const endsLow = finalSigmasType === 'zero' || numInferenceSteps < FEW_STEPS;
  let previous: Float32Array | null = null;

  const predOriginalSample = (modelOutput: Float32Array, i: number, sample: Float32Array): Float32Array =>
    originalAtLevel(schedule.predictionType, modelOutput, levelAt(levels, i), sample);

  return {
    timesteps,
    order: 1,
    sigmas: [...sigmas],
    initNoiseSigma: 1,
    scaleModelInput: (sample) => sample,
    predOriginalSample,
    step: (modelOutput, i, sample) => {
      const original = predOriginalSample(modelOutput, i, sample);
      const before = previous;
      previous = original;
      const [from, to] = [levelAt(levels, i), levelAt(levels, i + 1)];
      const h = fround(to.lambda - from.lambda);
      const keep = fround(to.sigma / from.sigma);
      const gain = fround(to.alpha * fround(fround(Math.exp(-h)) - 1));
      const first = (x: number, j: number): number => fround(fround(keep * x) - fround(gain * original[j]!));
      if (!before || (endsLow && i === timesteps.length - 1)) return sample.map(first);
      const inverseRatio = fround(1 / fround(fround(from.lambda - levelAt(levels, i - 1).lambda) / h));
      return sample.map((x, j) => {
        const slope = fround(inverseRatio * fround(original[j]! - before[j]!));
        return first(x, j) - fround(fround(0.5 * gain) * slope);
      });
    },
    addNoise: (original, noise, i) => {
      const { alpha, sigma } = levelAt(levels, i);
      return original.map((x, j) => fround(alpha * x) + fround(sigma * noise[j]!));
    },
  };
}

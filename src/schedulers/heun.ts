/**
 * Heun's method (Karras et al. 2022, algorithm 1): an Euler step to the next sigma, then the same step again with the mean of the slopes at
 * both ends. The model is called twice a step but for the last, so every timestep but the first stands twice in the list: even entries
 * are Euler steps, odd ones correct them. Source: diffusers 0.40, HeunDiscreteScheduler, and its defaults.
 */
import { defined } from '../core/invariant.ts';
import { noiseScheduleOf, type SchedulerConfig } from './noiseSchedule.ts';
import {
  initNoiseSigmaOf,
  interpolate,
  karrasSigmas,
  originalAtSigma,
  timestepOf,
  toUnitVariance,
  trainSigmasOf,
} from './sigmas.ts';
import { spaceTimesteps } from './spacing.ts';
import type { Scheduler } from './types.ts';

const { fround } = Math;

/** Every element but the first, twice. */
function doubled(values: readonly number[]): number[] {
  return values.flatMap((value, i) => (i === 0 ? [value] : [value, value]));
}

/** A Heun scheduler of `numInferenceSteps` steps. Throws InferenceStepsError for a number that the schedule does not have. */
export function createHeunScheduler(config: SchedulerConfig, numInferenceSteps: number): Scheduler {
  // diffusers' HeunDiscreteScheduler does not know zero terminal SNR.
  const schedule = noiseScheduleOf({ ...config, rescaleBetasZeroSnr: false });
  const { alphasCumprod, numTrainTimesteps, predictionType } = schedule;
  const { timestepSpacing = 'linspace', stepsOffset = 0, useKarrasSigmas = false } = config;
  const { clipSample = false, clipSampleRange = 1 } = config;
  const trainSigmas = trainSigmasOf(alphasCumprod);

  let single = spaceTimesteps(timestepSpacing, numInferenceSteps, numTrainTimesteps, stepsOffset).map(fround);
  let levels = single.map((timestep) => interpolate(trainSigmas, timestep));
  if (useKarrasSigmas) {
    levels = karrasSigmas(levels[0]!, levels.at(-1)!, numInferenceSteps);
    const logSigmas = trainSigmas.map(Math.log);
    single = levels.map((sigma) => fround(timestepOf(sigma, logSigmas)));
  }
  const sigmas = Float32Array.from([...doubled(levels), 0]);
  /** Where the Euler step began and its slope, until it is corrected. */
  let begun: { readonly sample: Float32Array; readonly derivative: Float32Array } | null = null;

  function predOriginalSample(modelOutput: Float32Array, i: number, sample: Float32Array): Float32Array {
    const original = originalAtSigma(predictionType, modelOutput, sigmas[i]!, sample);
    return clipSample ? original.map((x) => Math.min(Math.max(x, -clipSampleRange), clipSampleRange)) : original;
  }

  return {
    timesteps: doubled(single),
    order: 2,
    sigmas: [...sigmas],
    initNoiseSigma: initNoiseSigmaOf(sigmas, timestepSpacing === 'leading'),
    scaleModelInput: (sample, i) => toUnitVariance(sample, sigmas[i]!),
    predOriginalSample,
    step: (modelOutput, i, sample) => {
      const original = predOriginalSample(modelOutput, i, sample);
      const derivative = sample.map((x, j) => fround(x - original[j]!) / sigmas[i]!);
      if (i % 2 === 0) {
        begun = { sample, derivative };
        const stride = fround(sigmas[i + 1]! - sigmas[i]!);
        return sample.map((x, j) => x + fround(derivative[j]! * stride));
      }
      const first = defined(begun, 'the Euler step that this one corrects');
      begun = null;
      const stride = fround(sigmas[i]! - sigmas[i - 1]!);
      return first.sample.map((x, j) => {
        const mean = fround(fround(first.derivative[j]! + derivative[j]!) / 2);
        return x + fround(mean * stride);
      });
    },
    addNoise: (original, noise, i) => original.map((x, j) => x + fround(noise[j]! * sigmas[i]!)),
  };
}

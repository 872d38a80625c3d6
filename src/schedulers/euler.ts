/**
 * Euler's method on the probability flow ODE in terms of sigma, the standard deviation of the noise on an unscaled image (Karras et al.
 * 2022, algorithm 2 without churn). Source: diffusers 0.40, EulerDiscreteScheduler, and its defaults.
 */
import { noiseScheduleOf, withoutInfiniteSigma, type SchedulerConfig } from './noiseSchedule.ts';
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

/** An Euler scheduler of `numInferenceSteps` steps. Throws InferenceStepsError for a number that the schedule does not have. */
export function createEulerScheduler(config: SchedulerConfig, numInferenceSteps: number): Scheduler {
  const { alphasCumprod, numTrainTimesteps, predictionType } = withoutInfiniteSigma(noiseScheduleOf(config));
  const { timestepSpacing = 'linspace', stepsOffset = 0, useKarrasSigmas = false, finalSigmasType = 'zero' } = config;
  const trainSigmas = trainSigmasOf(alphasCumprod);

  let timesteps = spaceTimesteps(timestepSpacing, numInferenceSteps, numTrainTimesteps, stepsOffset).map(fround);
  let levels = timesteps.map((timestep) => interpolate(trainSigmas, timestep));
  if (useKarrasSigmas) {
    levels = karrasSigmas(levels[0]!, levels.at(-1)!, numInferenceSteps);
    const logSigmas = trainSigmas.map(Math.log);
    timesteps = levels.map((sigma) => fround(timestepOf(sigma, logSigmas)));
  }
  const sigmas = Float32Array.from([...levels, finalSigmasType === 'zero' ? 0 : trainSigmas[0]!]);
  const predOriginalSample = (modelOutput: Float32Array, i: number, sample: Float32Array): Float32Array =>
    originalAtSigma(predictionType, modelOutput, sigmas[i]!, sample);

  return {
    timesteps,
    order: 1,
    sigmas: [...sigmas],
    initNoiseSigma: initNoiseSigmaOf(sigmas, timestepSpacing === 'leading'),
    scaleModelInput: (sample, i) => toUnitVariance(sample, sigmas[i]!),
    predOriginalSample,
    step: (modelOutput, i, sample) => {
      const original = predOriginalSample(modelOutput, i, sample);
      const sigma = sigmas[i]!;
      const stride = fround(sigmas[i + 1]! - sigma);
      return sample.map((x, j) => {
        const derivative = fround(fround(x - original[j]!) / sigma);
        return x + fround(derivative * stride);
      });
    },
    addNoise: (original, noise, i) => original.map((x, j) => x + fround(noise[j]! * sigmas[i]!)),
  };
}

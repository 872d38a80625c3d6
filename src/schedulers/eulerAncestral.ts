/**
 * Euler's method with ancestral noise ("Euler a"): each step goes below the next level by `sigmaDown` and adds fresh noise of `sigmaUp`, so
 * that both together make the next sigma. Source: diffusers 0.40, EulerAncestralDiscreteScheduler, and its defaults; it draws noise
 * on the last step too, where its factor is 0.
 */
import { noiseScheduleOf, withoutInfiniteSigma, type SchedulerConfig } from './noiseSchedule.ts';
import { initNoiseSigmaOf, interpolate, originalAtSigma, toUnitVariance, trainSigmasOf } from './sigmas.ts';
import { spaceTimesteps } from './spacing.ts';
import type { Scheduler } from './types.ts';

const { fround, sqrt } = Math;

/** Splits the step from one sigma to the next into the level to walk down to and the noise to add. */
function split(from: number, to: number): readonly [sigmaDown: number, sigmaUp: number] {
  const [from2, to2] = [fround(from * from), fround(to * to)];
  const sigmaUp = fround(sqrt(fround(fround(to2 * fround(from2 - to2)) / from2)));
  return [fround(sqrt(fround(to2 - fround(sigmaUp * sigmaUp)))), sigmaUp];
}

/** An ancestral Euler scheduler of `numInferenceSteps` steps. Throws InferenceStepsError for a number that the schedule does not have. */
export function createEulerAncestralScheduler(config: SchedulerConfig, numInferenceSteps: number): Scheduler {
  const { alphasCumprod, numTrainTimesteps, predictionType } = withoutInfiniteSigma(noiseScheduleOf(config));
  const { timestepSpacing = 'linspace', stepsOffset = 0 } = config;
  const trainSigmas = trainSigmasOf(alphasCumprod);
  const timesteps = spaceTimesteps(timestepSpacing, numInferenceSteps, numTrainTimesteps, stepsOffset).map(fround);
  const sigmas = Float32Array.from([...timesteps.map((timestep) => interpolate(trainSigmas, timestep)), 0]);
  const predOriginalSample = (modelOutput: Float32Array, i: number, sample: Float32Array): Float32Array =>
    originalAtSigma(predictionType, modelOutput, sigmas[i]!, sample);

  return {
    timesteps,
    order: 1,
    sigmas: [...sigmas],
    initNoiseSigma: initNoiseSigmaOf(sigmas, timestepSpacing === 'leading'),
    scaleModelInput: (sample, i) => toUnitVariance(sample, sigmas[i]!),
    predOriginalSample,
    step: (modelOutput, i, sample, drawNoise) => {
      const original = predOriginalSample(modelOutput, i, sample);
      const noise = drawNoise();
      const sigma = sigmas[i]!;
      const [sigmaDown, sigmaUp] = split(sigma, sigmas[i + 1]!);
      const stride = fround(sigmaDown - sigma);
      return sample.map((x, j) => {
        const derivative = fround(fround(x - original[j]!) / sigma);
        return fround(x + fround(derivative * stride)) + fround(noise[j]! * sigmaUp);
      });
    },
    addNoise: (original, noise, i) => original.map((x, j) => x + fround(noise[j]! * sigmas[i]!)),
  };
}

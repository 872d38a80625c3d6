/**
 * DDIM (Song et al. 2020) with eta = 0: from the model's output at t follow the straight line to the clean sample, and noise that by
 * the same predicted noise to the level of the timestep before. Source: diffusers 0.40, DDIMScheduler, and its defaults.
 */
import { addNoise } from './ddpm.ts';
import { noiseScheduleOf, type SchedulerConfig } from './noiseSchedule.ts';
import { spaceWholeTimesteps } from './spacing.ts';
import type { Scheduler } from './types.ts';

const { fround, sqrt } = Math;

/** A DDIM scheduler of `numInferenceSteps` steps. Throws InferenceStepsError for a number that the schedule does not have. */
export function createDdimScheduler(config: SchedulerConfig, numInferenceSteps: number): Scheduler {
  const { alphasCumprod, numTrainTimesteps, predictionType } = noiseScheduleOf(config);
  const { timestepSpacing = 'leading', stepsOffset = 0, setAlphaToOne = true } = config;
  const { clipSample = true, clipSampleRange = 1 } = config;
  const timesteps = spaceWholeTimesteps(timestepSpacing, numInferenceSteps, numTrainTimesteps, stepsOffset);
  const stride = Math.floor(numTrainTimesteps / numInferenceSteps);
  const finalAlpha = setAlphaToOne ? 1 : alphasCumprod[0]!;

  const alphaAt = (timestep: number): number => (timestep >= 0 ? alphasCumprod[timestep]! : finalAlpha);
  const roots = (alpha: number): readonly [signal: number, sigma: number] => [
    fround(sqrt(alpha)),
    fround(sqrt(fround(1 - alpha))),
  ];

  /** The clean value and the noise that one value of the model's output stands for. */
  function predict(
    output: number,
    x: number,
    signal: number,
    sigma: number,
  ): readonly [original: number, noise: number] {
    switch (predictionType) {
      case 'epsilon':
        return [fround(fround(x - fround(sigma * output)) / signal), output];
      case 'sample':
        return [output, fround(fround(x - fround(signal * output)) / sigma)];
      case 'v_prediction':
        return [
          fround(fround(signal * x) - fround(sigma * output)),
          fround(fround(signal * output) + fround(sigma * x)),
        ];
    }
  }
  const clip = (original: number): number =>
    clipSample ? Math.min(Math.max(original, -clipSampleRange), clipSampleRange) : original;

  return {
    timesteps,
    order: 1,
    initNoiseSigma: 1,
    scaleModelInput: (sample) => sample,
    predOriginalSample: (modelOutput, i, sample) => {
      const [signal, sigma] = roots(alphaAt(timesteps[i]!));
      return sample.map((x, j) => clip(predict(modelOutput[j]!, x, signal, sigma)[0]));
    },
    step: (modelOutput, i, sample) => {
      const [signal, sigma] = roots(alphaAt(timesteps[i]!));
      const [nextSignal, nextSigma] = roots(alphaAt(timesteps[i]! - stride));
      return sample.map((x, j) => {
        const [original, noise] = predict(modelOutput[j]!, x, signal, sigma);
        return fround(nextSignal * clip(original)) + fround(nextSigma * noise);
      });
    },
    addNoise: (original, noise, i) => addNoise(alphasCumprod, original, noise, [timesteps[i]!]),
  };
}

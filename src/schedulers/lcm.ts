/**
 * The sampler of latent consistency models (Luo et al. 2023): each step jumps to the clean sample, blended with the boundary condition's
 * weights, and noises it again to the next level; the last step does not. Its timesteps are a choice among the 50 that the models were
 * distilled with, whatever the spacing. Source: diffusers 0.40, LCMScheduler, and its defaults.
 */
import { addNoise } from './ddpm.ts';
import { InferenceStepsError, noiseScheduleOf, type SchedulerConfig } from './noiseSchedule.ts';
import type { Scheduler } from './types.ts';

const { fround, sqrt } = Math;
const SIGMA_DATA = 0.5;

/** `n` of the distillation's timesteps, evenly spread, falling. */
function distilledTimesteps(n: number, originalSteps: number, numTrainTimesteps: number): number[] {
  if (!Number.isInteger(n) || n < 1 || n > originalSteps) throw new InferenceStepsError(n, originalSteps);
  const ratio = Math.floor(numTrainTimesteps / originalSteps);
  return Array.from({ length: n }, (_, i) => (originalSteps - Math.floor(i * (originalSteps / n))) * ratio - 1);
}

/** An LCM scheduler of `numInferenceSteps` steps. Throws InferenceStepsError for more steps than the models were distilled with. */
export function createLcmScheduler(config: SchedulerConfig, numInferenceSteps: number): Scheduler {
  const { alphasCumprod, numTrainTimesteps, predictionType } = noiseScheduleOf(config);
  const { clipSample = false, clipSampleRange = 1, timestepScaling = 10 } = config;
  const originalSteps = Math.min(config.originalInferenceSteps ?? 50, numTrainTimesteps);
  const timesteps = distilledTimesteps(numInferenceSteps, originalSteps, numTrainTimesteps);
  const roots = (i: number): readonly [signal: number, sigma: number] => {
    const alpha = alphasCumprod[timesteps[i]!]!;
    return [fround(sqrt(alpha)), fround(sqrt(fround(1 - alpha)))];
  };

  function originalOf(output: number, x: number, signal: number, sigma: number): number {
    switch (predictionType) {
      case 'epsilon':
        return fround(fround(x - fround(sigma * output)) / signal);
      case 'sample':
        return output;
      case 'v_prediction':
        return fround(fround(signal * x) - fround(sigma * output));
    }
  }

  function predOriginalSample(modelOutput: Float32Array, i: number, sample: Float32Array): Float32Array {
    const [signal, sigma] = roots(i);
    const original = sample.map((x, j) => originalOf(modelOutput[j]!, x, signal, sigma));
    return clipSample ? original.map((x) => Math.min(Math.max(x, -clipSampleRange), clipSampleRange)) : original;
  }

  return {
    timesteps,
    order: 1,
    initNoiseSigma: 1,
    scaleModelInput: (sample) => sample,
    predOriginalSample,
    step: (modelOutput, i, sample, drawNoise) => {
      const scaled = timesteps[i]! * timestepScaling;
      const square = scaled ** 2 + SIGMA_DATA ** 2;
      const [skip, out] = [fround(SIGMA_DATA ** 2 / square), fround(scaled / sqrt(square))];
      const original = predOriginalSample(modelOutput, i, sample);
      const denoised = original.map((x, j) => fround(out * x) + fround(skip * sample[j]!));
      if (i === timesteps.length - 1) return denoised;
      const noise = drawNoise();
      const [signal, sigma] = roots(i + 1);
      return denoised.map((x, j) => fround(signal * x) + fround(sigma * noise[j]!));
    },
    addNoise: (original, noise, i) => addNoise(alphasCumprod, original, noise, [timesteps[i]!]),
  };
}

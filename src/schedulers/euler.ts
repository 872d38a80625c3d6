/**
 * Euler's method on the probability flow ODE in terms of sigma, the standard deviation of the noise on an unscaled image (Karras et al.
 * 2022, algorithm 2 without churn). Source: diffusers 0.40, EulerDiscreteScheduler, and its defaults.
 */
import { noiseScheduleOf, type SchedulerConfig } from './noiseSchedule.ts';
import { spaceTimesteps } from './spacing.ts';
import type { Scheduler } from './types.ts';

const { fround, sqrt } = Math;
const KARRAS_RHO = 7;

/** The value of `table` at a fractional index. */
function interpolate(table: Float32Array, index: number): number {
  const low = Math.min(Math.floor(index), table.length - 1);
  const high = Math.min(low + 1, table.length - 1);
  return table[low]! + (table[high]! - table[low]!) * (index - low);
}

/** `n` sigmas from the largest to the smallest, evenly spaced in their 7th root (Karras et al. 2022, equation 5). */
function karrasSigmas(largest: number, smallest: number, n: number): number[] {
  const [top, bottom] = [largest ** (1 / KARRAS_RHO), smallest ** (1 / KARRAS_RHO)];
  return Array.from({ length: n }, (_, i) => (top + (n === 1 ? 0 : i / (n - 1)) * (bottom - top)) ** KARRAS_RHO);
}

/** The fractional timestep whose sigma this is: linear between the logarithms of the training sigmas, which rise. */
function timestepOf(sigma: number, logSigmas: Float32Array): number {
  const logSigma = Math.log(Math.max(sigma, 1e-10));
  let low = 0;
  while (low < logSigmas.length - 2 && logSigmas[low + 1]! <= logSigma) low++;
  const [from, to] = [logSigmas[low]!, logSigmas[low + 1]!];
  const share = Math.min(Math.max((logSigma - from) / (to - from), 0), 1);
  return low + share;
}

/** An Euler scheduler of `numInferenceSteps` steps. Throws InferenceStepsError for a number that the schedule does not have. */
export function createEulerScheduler(config: SchedulerConfig, numInferenceSteps: number): Scheduler {
  const { alphasCumprod, numTrainTimesteps, predictionType } = noiseScheduleOf(config);
  const { timestepSpacing = 'linspace', stepsOffset = 0, useKarrasSigmas = false, finalSigmasType = 'zero' } = config;
  const trainSigmas = alphasCumprod.map((alpha) => sqrt(fround(fround(1 - alpha) / alpha)));

  let timesteps = spaceTimesteps(timestepSpacing, numInferenceSteps, numTrainTimesteps, stepsOffset).map(fround);
  let levels = timesteps.map((timestep) => interpolate(trainSigmas, timestep));
  if (useKarrasSigmas) {
    levels = karrasSigmas(levels[0]!, levels.at(-1)!, numInferenceSteps);
    const logSigmas = trainSigmas.map(Math.log);
    timesteps = levels.map((sigma) => fround(timestepOf(sigma, logSigmas)));
  }
  const sigmas = Float32Array.from([...levels, finalSigmasType === 'zero' ? 0 : trainSigmas[0]!]);
  const largest = Math.max(...sigmas);
  const variance = (i: number): number => fround(fround(sigmas[i]! * sigmas[i]!) + 1);

  function predOriginalSample(modelOutput: Float32Array, i: number, sample: Float32Array): Float32Array {
    const sigma = sigmas[i]!;
    switch (predictionType) {
      case 'epsilon':
        return sample.map((x, j) => x - fround(sigma * modelOutput[j]!));
      case 'sample':
        return modelOutput.slice();
      case 'v_prediction': {
        const factor = fround(-sigma / fround(sqrt(variance(i))));
        return sample.map((x, j) => fround(modelOutput[j]! * factor) + fround(x / variance(i)));
      }
    }
  }

  return {
    timesteps,
    sigmas: [...sigmas],
    initNoiseSigma: timestepSpacing === 'leading' ? sqrt(largest * largest + 1) : largest,
    scaleModelInput: (sample, i) => {
      const deviation = fround(sqrt(variance(i)));
      return sample.map((x) => x / deviation);
    },
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

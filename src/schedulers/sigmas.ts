/**
 * What the schedulers that think in sigmas share: sigma, the standard deviation of the noise on an unscaled image (Karras et al. 2022),
 * against timesteps and against the variance-preserving form. Source: diffusers 0.40, which computes the levels in float64 and the
 * steps in float32.
 */
import { defined } from '../core/invariant.ts';
import type { PredictionType } from './noiseSchedule.ts';

const { fround, sqrt } = Math;
const KARRAS_RHO = 7;

/** The sigma of each training timestep; they rise. */
export function trainSigmasOf(alphasCumprod: Float32Array): Float32Array {
  return alphasCumprod.map((alpha) => sqrt(fround(fround(1 - alpha) / alpha)));
}

/** The value of `table` at a fractional index. */
export function interpolate(table: Float32Array, index: number): number {
  const low = Math.min(Math.floor(index), table.length - 1);
  const high = Math.min(low + 1, table.length - 1);
  return table[low]! + (table[high]! - table[low]!) * (index - low);
}

/** `n` sigmas from the largest to the smallest, evenly spaced in their 7th root (Karras et al. 2022, equation 5). */
export function karrasSigmas(largest: number, smallest: number, n: number): number[] {
  const [top, bottom] = [largest ** (1 / KARRAS_RHO), smallest ** (1 / KARRAS_RHO)];
  return Array.from({ length: n }, (_, i) => (top + (n === 1 ? 0 : i / (n - 1)) * (bottom - top)) ** KARRAS_RHO);
}

/** The fractional timestep whose sigma this is: linear between the logarithms of the training sigmas, which rise. */
export function timestepOf(sigma: number, logSigmas: Float32Array): number {
  const logSigma = Math.log(Math.max(sigma, 1e-10));
  let low = 0;
  while (low < logSigmas.length - 2 && logSigmas[low + 1]! <= logSigma) low++;
  const [from, to] = [logSigmas[low]!, logSigmas[low + 1]!];
  const share = Math.min(Math.max((logSigma - from) / (to - from), 0), 1);
  return low + share;
}

/** sigma^2 + 1: the variance of a noised image whose clean form has unit variance. */
export function varianceAt(sigma: number): number {
  return fround(fround(sigma * sigma) + 1);
}

/** A sample at level `sigma`, scaled to unit variance as the model wants it. */
export function toUnitVariance(sample: Float32Array, sigma: number): Float32Array {
  const deviation = fround(sqrt(varianceAt(sigma)));
  return sample.map((x) => x / deviation);
}

/** The factor of noise of unit variance at the start of a walk over `sigmas`: leading timesteps begin short of pure noise. */
export function initNoiseSigmaOf(sigmas: Float32Array, leading: boolean): number {
  const largest = Math.max(...sigmas);
  return leading ? sqrt(largest * largest + 1) : largest;
}

/** The clean sample that `modelOutput` points to, from an unscaled `sample` at level `sigma`. */
export function originalAtSigma(
  predictionType: PredictionType,
  modelOutput: Float32Array,
  sigma: number,
  sample: Float32Array,
): Float32Array {
  switch (predictionType) {
    case 'epsilon':
      return sample.map((x, j) => x - fround(sigma * modelOutput[j]!));
    case 'sample':
      return modelOutput.slice();
    case 'v_prediction': {
      const variance = varianceAt(sigma);
      const factor = fround(-sigma / fround(sqrt(variance)));
      return sample.map((x, j) => fround(modelOutput[j]! * factor) + fround(x / variance));
    }
  }
}

/** A level in the variance-preserving form: x = alpha * clean + sigma * noise; lambda = log(alpha / sigma), infinite where clean. */
export interface Level {
  readonly alpha: number;
  readonly sigma: number;
  readonly lambda: number;
}

/** The levels of unscaled sigmas. */
export function levelsOf(sigmas: Float32Array): readonly Level[] {
  return Array.from(sigmas, (unscaled) => {
    const alpha = fround(1 / fround(sqrt(varianceAt(unscaled))));
    const sigma = fround(unscaled * alpha);
    return { alpha, sigma, lambda: fround(fround(Math.log(alpha)) - fround(Math.log(sigma))) };
  });
}

/** The level at which step i begins. */
export function levelAt(levels: readonly Level[], i: number): Level {
  return defined(levels[i], 'level');
}

/** The clean sample that `modelOutput` points to, from a variance-preserving `sample` at a level. */
export function originalAtLevel(
  predictionType: PredictionType,
  modelOutput: Float32Array,
  { alpha, sigma }: Level,
  sample: Float32Array,
): Float32Array {
  switch (predictionType) {
    case 'epsilon':
      return sample.map((x, j) => fround(x - fround(sigma * modelOutput[j]!)) / alpha);
    case 'sample':
      return modelOutput.slice();
    case 'v_prediction':
      return sample.map((x, j) => fround(alpha * x) - fround(sigma * modelOutput[j]!));
  }
}

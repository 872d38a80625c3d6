/**
 * The forward process of DDPM (Ho et al. 2020), as training uses it: x_t = sqrt(a_t) x_0 + sqrt(1 - a_t) noise, a_t = alphasCumprod[t].
 */
import { invariant } from '../core/invariant.ts';

const { fround, sqrt } = Math;

/** x * p + y * q elementwise, each sample of the batch with its own p and q. Every operation is rounded to float32. */
function blend(
  alphasCumprod: Float32Array,
  timesteps: ArrayLike<number>,
  x: Float32Array,
  y: Float32Array,
  factors: (sqrtAlpha: number, sqrtOneMinusAlpha: number) => readonly [number, number],
): Float32Array<ArrayBuffer> {
  invariant(
    x.length === y.length && x.length % timesteps.length === 0,
    'Samples and noise have one size and a timestep each',
  );
  const out = new Float32Array(x.length);
  const size = x.length / timesteps.length;
  for (let n = 0; n < timesteps.length; n++) {
    const alpha = alphasCumprod[timesteps[n]!];
    invariant(alpha !== undefined, 'A timestep lies within the schedule', { timestep: timesteps[n] });
    const [p, q] = factors(fround(sqrt(alpha)), fround(sqrt(fround(1 - alpha))));
    for (let i = n * size; i < (n + 1) * size; i++) out[i] = fround(p * x[i]!) + fround(q * y[i]!);
  }
  return out;
}

/** Noises a batch: `original` and `noise` hold timesteps.length samples one after another; timesteps are integers. */
export function addNoise(
  alphasCumprod: Float32Array,
  original: Float32Array,
  noise: Float32Array,
  timesteps: ArrayLike<number>,
): Float32Array<ArrayBuffer> {
  return blend(alphasCumprod, timesteps, original, noise, (signal, sigma) => [signal, sigma]);
}

/** The target of v-prediction (Salimans & Ho 2022), sqrt(a_t) noise - sqrt(1 - a_t) x_0, for a batch laid out as in {@link addNoise}. */
export function getVelocity(
  alphasCumprod: Float32Array,
  original: Float32Array,
  noise: Float32Array,
  timesteps: ArrayLike<number>,
): Float32Array<ArrayBuffer> {
  return blend(alphasCumprod, timesteps, original, noise, (signal, sigma) => [-sigma, signal]);
}

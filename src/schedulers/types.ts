/** Fresh noise of unit variance in the sample's layout, drawn from the picture's generator. */
export type DrawNoise = () => Float32Array;

/**
 * A sampler: it walks one sample from noise to an image in `timesteps.length` steps, one call of the model each. Step i asks the model for
 * its output on scaleModelInput(sample, i) at timesteps[i] and hands it to step(). Steps are taken in order, from any multiple of
 * `order` on: some schedulers remember the steps before, so each walk has a scheduler of its own. Samples are flat Float32Arrays
 * of any layout: every rule is elementwise. Arithmetic is float32 operation by operation, as in torch. No method changes its arguments.
 */
export interface Scheduler {
  /** From noisiest to cleanest; fractional for some schedulers, and some stand twice. */
  readonly timesteps: readonly number[];
  /** How many entries of `timesteps` image to image leaves out for each step that it skips. */
  readonly order: 1 | 2;
  /** Standard deviations of the noise at each step and, last, at the end; absent where a scheduler does not think in sigmas. */
  readonly sigmas?: readonly number[];
  /** What noise of unit variance is multiplied by to become the first sample. */
  readonly initNoiseSigma: number;
  scaleModelInput(sample: Float32Array, i: number): Float32Array;
  /** The next sample, given the model's output at step i. Only stochastic schedulers draw noise. */
  step(modelOutput: Float32Array, i: number, sample: Float32Array, drawNoise: DrawNoise): Float32Array;
  /** The clean sample that the model's output at step i points to. */
  predOriginalSample(modelOutput: Float32Array, i: number, sample: Float32Array): Float32Array;
  /** A clean sample noised to the level at which step i begins: the start of image to image. */
  addNoise(original: Float32Array, noise: Float32Array, i: number): Float32Array;
}

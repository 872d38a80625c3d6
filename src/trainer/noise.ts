/** The noise that training adds to latents: standard normals, and two ways to give them more of the coarse structure of pictures. */
import type { PyramidNoiseOptions } from '../core/trainOptions.ts';
import { TorchGenerator, deriveSeed } from '../core/rng.ts';

export interface NoiseOptions {
  readonly noiseOffset: number;
  readonly pyramidNoise: PyramidNoiseOptions;
}

type Shape = readonly [n: number, h: number, w: number, c: number];

/** Noise of a batch, [N, h, w, c]: drawn from (seed, batch number) alone. */
export function trainingNoise(
  shape: Shape,
  { noiseOffset, pyramidNoise }: NoiseOptions,
  { seed, batch }: { readonly seed: number; readonly batch: number },
): Float32Array<ArrayBuffer> {
  const generator = (purpose: string): TorchGenerator => new TorchGenerator(deriveSeed(seed, purpose, batch));
  const noise = generator('noise').randn(shape);
  if (noiseOffset > 0) addOffset(noise, shape, noiseOffset, generator('noise offset'));
  return pyramidNoise.iterations > 0 ? addPyramid(noise, shape, pyramidNoise, generator('pyramid noise')) : noise;
}

/** One number a channel of each example, times `strength` (crosslabs.org/blog/diffusion-with-offset-noise, 2023). */
function addOffset(noise: Float32Array, [n, h, w, c]: Shape, strength: number, generator: TorchGenerator): void {
  const offsets = generator.randn(n * c);
  for (let i = 0; i < noise.length; i++) {
    const example = Math.floor(i / (h * w * c));
    noise[i]! += strength * offsets[example * c + (i % c)]!;
  }
}

/**
 * Noises of ever coarser grids, each enlarged bilinearly and `discount` times as strong as the one before, added up and brought
 * back to a deviation of 1 over the batch (sd-scripts' library/custom_train_functions.py, `pyramid_noise_like`; wandb.ai/johnowhitaker/multires_noise, 2023).
 * A grid's sides shrink by a factor between 2 and 4, drawn anew each time; a grid of one row or column is the last.
 */
function addPyramid(
  noise: Float32Array<ArrayBuffer>,
  [n, h, w, c]: Shape,
  { iterations, discount }: PyramidNoiseOptions,
  generator: TorchGenerator,
): Float32Array<ArrayBuffer> {
  for (let level = 0; level < iterations; level++) {
    const shrink = (generator.rand(1)[0]! * 2 + 2) ** level;
    const [rows, columns] = [Math.max(1, Math.floor(h / shrink)), Math.max(1, Math.floor(w / shrink))];
    const coarse = generator.randn([n, rows, columns, c]);
    const size = rows * columns * c;
    for (let example = 0; example < n; example++) {
      const grid = { values: coarse.subarray(example * size, (example + 1) * size), rows, columns };
      addEnlarged(noise.subarray(example * h * w * c, (example + 1) * h * w * c), [h, w, c], grid, discount ** level);
    }
    if (rows === 1 || columns === 1) break;
  }
  const deviation = standardDeviation(noise);
  return noise.map((value) => value / deviation);
}

interface Grid {
  readonly values: Float32Array;
  readonly rows: number;
  readonly columns: number;
}

/** target += strength * grid, enlarged as torch's bilinear interpolation does it (align_corners false). */
function addEnlarged(
  target: Float32Array,
  [h, w, c]: readonly [number, number, number],
  grid: Grid,
  strength: number,
): void {
  const { values, rows, columns } = grid;
  const at = (row: number, column: number, channel: number): number => values[(row * columns + column) * c + channel]!;
  for (let y = 0; y < h; y++) {
    const [top, bottom, down] = sourceOf(y, h, rows);
    for (let x = 0; x < w; x++) {
      const [left, right, across] = sourceOf(x, w, columns);
      for (let k = 0; k < c; k++) {
        const upper = (1 - across) * at(top, left, k) + across * at(top, right, k);
        const lower = (1 - across) * at(bottom, left, k) + across * at(bottom, right, k);
        target[(y * w + x) * c + k]! += strength * ((1 - down) * upper + down * lower);
      }
    }
  }
}

/** The two source cells of a target cell, and how far it lies towards the second. */
function sourceOf(i: number, target: number, source: number): readonly [first: number, second: number, share: number] {
  const place = Math.max(0, ((i + 0.5) * source) / target - 0.5);
  const first = Math.floor(place);
  return [first, Math.min(first + 1, source - 1), place - first];
}

/** torch.std: of a sample. */
function standardDeviation(values: Float32Array): number {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return Math.sqrt(squares / (values.length - 1));
}

/** The noise of pictures: of their start, then of their steps, drawn one after another from one generator. */
import { joinFloats } from '../core/floats.ts';
import { TorchGenerator } from '../core/rng.ts';
import { PhiloxGenerator } from '../core/rngPhilox.ts';
import type { DrawNoise } from '../schedulers/types.ts';

/** Whose numbers: torch's on the CPU, as diffusers draws, or on a CUDA device, as A1111 draws by default. */
export type NoiseDevice = 'cpu' | 'gpu';

type Shape = readonly [h: number, w: number, c: number];

function generatorOf(seed: number, device: NoiseDevice): TorchGenerator | PhiloxGenerator {
  return device === 'cpu' ? new TorchGenerator(seed) : new PhiloxGenerator(seed);
}

/** Draws unit noise [h, w, c] for a seed: torch.randn of [1, c, h, w], as diffusers and A1111 draw it. */
export function noiseSource(seed: number, [h, w, c]: Shape, device: NoiseDevice = 'cpu'): DrawNoise {
  const generator = generatorOf(seed, device);
  return () => toChannelsLast(generator.randn([1, c, h, w]), 1, [h, w, c]);
}

/** The noise of a batch. */
export interface BatchNoise {
  /** What latents are drawn with from the encoder's distribution, [n, h, w, c]; to be drawn before anything else, as diffusers does. */
  posterior(): Float32Array;
  /** [n, h, w, c] */
  readonly draw: DrawNoise;
}

/** Each picture has a generator of its own (A1111; diffusers with a list of generators), so that it can be drawn alone as well. */
export function noiseOfEach(seeds: readonly number[], shape: Shape, device: NoiseDevice = 'cpu'): BatchNoise {
  const sources = seeds.map((seed) => noiseSource(seed, shape, device));
  const draw = (): Float32Array => joinFloats(sources.map((source) => source()));
  return { posterior: draw, draw };
}

/** All pictures from one generator: diffusers' `num_images_per_prompt` with one. They share what is drawn of a picture's latents. */
export function noiseOfBatch(seed: number, n: number, shape: Shape, device: NoiseDevice = 'cpu'): BatchNoise {
  const [h, w, c] = shape;
  const generator = generatorOf(seed, device);
  return {
    posterior: () => {
      const one = toChannelsLast(generator.randn([1, c, h, w]), 1, shape);
      return joinFloats(Array.from({ length: n }, () => one));
    },
    draw: () => toChannelsLast(generator.randn([n, c, h, w]), n, shape),
  };
}

/** [n, c, h, w] to [n, h, w, c]. */
function toChannelsLast(values: Float32Array, n: number, [h, w, c]: Shape): Float32Array {
  const out = new Float32Array(values.length);
  for (let i = 0; i < n; i++) {
    const start = i * c * h * w;
    for (let k = 0; k < c; k++) for (let p = 0; p < h * w; p++) out[start + p * c + k] = values[start + k * h * w + p]!;
  }
  return out;
}

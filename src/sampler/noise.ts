/** The noise of a picture: of its start, then of its steps, drawn one after another from one generator. */
import { TorchGenerator } from '../core/rng.ts';
import { PhiloxGenerator } from '../core/rngPhilox.ts';
import type { DrawNoise } from '../schedulers/types.ts';

/** Whose numbers: torch's on the CPU, as diffusers draws, or on a CUDA device, as A1111 draws by default. */
export type NoiseDevice = 'cpu' | 'gpu';

/** Draws unit noise [h, w, c] for a seed: torch.randn of [1, c, h, w], as diffusers and A1111 draw it. */
export function noiseSource(
  seed: number,
  [h, w, c]: readonly [number, number, number],
  device: NoiseDevice = 'cpu',
): DrawNoise {
  const generator = device === 'cpu' ? new TorchGenerator(seed) : new PhiloxGenerator(seed);
  return () => toChannelsLast(generator.randn([1, c, h, w]), [h, w, c]);
}

/** [c, h, w] to [h, w, c]. */
function toChannelsLast(values: Float32Array, [h, w, c]: readonly [number, number, number]): Float32Array {
  const out = new Float32Array(values.length);
  for (let k = 0; k < c; k++) for (let p = 0; p < h * w; p++) out[p * c + k] = values[k * h * w + p]!;
  return out;
}

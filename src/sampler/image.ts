import { clampByte } from '../core/bytes.ts';
import type { RgbImage } from '../core/image.ts';
import { defined } from '../core/invariant.ts';
import type { AutoencoderKL, TileOptions } from '../models/vae.ts';

/** Decodes scaled latents [h, w, c] to a picture: clamp(decoded / 2 + 0.5, 0, 1) * 255, rounded. */
export async function decodeLatents(
  vae: AutoencoderKL,
  latents: Float32Array,
  [h, w]: readonly [number, number, ...number[]],
  options: TileOptions = {},
): Promise<RgbImage> {
  return defined((await decodeLatentBatch(vae, latents, [1, h, w], options))[0]);
}

/** The same for scaled latents [n, h, w, c], all at once: for small pictures, as they share the GPU's memory. */
export async function decodeLatentBatch(
  vae: AutoencoderKL,
  latents: Float32Array,
  [n, h, w]: readonly [number, number, number],
  options: TileOptions = {},
): Promise<RgbImage[]> {
  const { scalingFactor, outChannels } = vae.config;
  const unscaled = latents.map((value) => value / scalingFactor);
  const decoded = await vae.decode(unscaled, [n, h, w], options);
  const width = w * vae.factor;
  const height = h * vae.factor;
  return Array.from({ length: n }, (_, i) => {
    const data = new Uint8Array(width * height * 3);
    const start = i * width * height;
    for (let p = 0; p < width * height; p++) {
      for (let k = 0; k < 3; k++) {
        const value = decoded[(start + p) * outChannels + k]!;
        data[p * 3 + k] = clampByte(Math.fround(value / 2 + 0.5) * 255);
      }
    }
    return { width, height, data };
  });
}

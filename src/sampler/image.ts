import { clampByte } from '../core/bytes.ts';
import type { RgbImage } from '../core/image.ts';
import type { AutoencoderKL } from '../models/vae.ts';

/** Decodes scaled latents [h, w, c] to a picture: clamp(decoded / 2 + 0.5, 0, 1) * 255, rounded. */
export async function decodeLatents(
  vae: AutoencoderKL,
  latents: Float32Array,
  [h, w]: readonly [number, number, ...number[]],
): Promise<RgbImage> {
  const { scalingFactor, outChannels } = vae.config;
  const unscaled = latents.map((value) => value / scalingFactor);
  const decoded = await vae.decode(unscaled, [1, h, w]);
  const width = w * vae.factor;
  const height = h * vae.factor;
  const data = new Uint8Array(width * height * 3);
  for (let p = 0; p < width * height; p++) {
    for (let k = 0; k < 3; k++) data[p * 3 + k] = clampByte(Math.fround(decoded[p * outChannels + k]! / 2 + 0.5) * 255);
  }
  return { width, height, data };
}

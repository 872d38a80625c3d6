/** Latents of the training images, computed once and kept on the CPU, so that the VAE can be freed before the UNet is loaded. */
import { toModelRange, flipHorizontal } from '../dataset/preprocess.ts';
import type { RgbImage } from '../core/image.ts';
import type { AutoencoderKL } from '../models/vae.ts';

/** The distribution of an image's latents (unscaled), [height, width, channels] each. */
export interface Moments {
  readonly mean: Float32Array;
  readonly logvar: Float32Array;
}

export interface CachedLatents {
  readonly height: number;
  readonly width: number;
  readonly channels: number;
  readonly plain: Moments;
  /** Of the mirrored image; null where flipping was not asked for. Mirroring latents is not the same thing. */
  readonly flipped: Moments | null;
}

/** Encodes one image, cropped already: its sides must be multiples of the VAE's factor. */
export async function cacheLatents(
  vae: AutoencoderKL,
  image: RgbImage,
  { flip }: { readonly flip: boolean },
): Promise<CachedLatents> {
  const encode = async (pixels: RgbImage): Promise<Moments & { shape: readonly number[] }> =>
    vae.encode(toModelRange(pixels), [1, pixels.height, pixels.width]);
  const plain = await encode(image);
  const [, height = 0, width = 0, channels = 0] = plain.shape;
  return { height, width, channels, plain, flipped: flip ? await encode(flipHorizontal(image)) : null };
}

/** mean + exp(logvar / 2) * noise, times the VAE's scaling factor: latents as the UNet sees them. */
export function sampleLatents({ mean, logvar }: Moments, noise: Float32Array, scalingFactor: number): Float32Array {
  return mean.map((m, i) => (m + Math.exp(logvar[i]! / 2) * noise[i]!) * scalingFactor);
}

/**
 * Inpainting with a UNet that was not made for it: after each step, what the mask keeps is put back, noised to the level of the next
 * step. Source: diffusers StableDiffusionInpaintPipeline, its way for UNets of 4 input channels (formerly "legacy").
 */
import { clampByte } from '../core/bytes.ts';
import type { RgbImage } from '../core/image.ts';
import type { Scheduler } from '../schedulers/types.ts';

/** For each pixel how much of it is drawn anew: 0 (kept) to 1. */
export interface Mask {
  readonly width: number;
  readonly height: number;
  readonly values: Float32Array;
}

/** 1 where the picture is light (diffusers' mask processor: grey, then 1 from a half on). */
export function maskOf({ width, height, data }: RgbImage): Mask {
  const values = new Float32Array(width * height);
  for (let p = 0; p < values.length; p++) {
    // PIL's conversion to grey.
    const grey = (data[p * 3]! * 299 + data[p * 3 + 1]! * 587 + data[p * 3 + 2]! * 114) / 1000;
    values[p] = Math.round(grey) >= 128 ? 1 : 0;
  }
  return { width, height, values };
}

/** The mask at the latents' size: the first pixel of each block of `factor`, as torch's nearest interpolation takes it. */
export function latentMask({ width, height, values }: Mask, factor: number): Mask {
  const w = width / factor;
  const h = height / factor;
  const out = new Float32Array(w * h);
  for (let y = 0; y < h; y++) for (let x = 0; x < w; x++) out[y * w + x] = values[y * factor * width + x * factor]!;
  return { width: w, height: h, values: out };
}

/** A Gaussian blur of `radius` pixels (its standard deviation); the edge pixels go on outside. */
export function blurMask(mask: Mask, radius: number): Mask {
  if (radius <= 0) return mask;
  const reach = Math.ceil(radius * 3);
  const kernel = Float64Array.from({ length: 2 * reach + 1 }, (_, i) =>
    Math.exp(-((i - reach) ** 2) / (2 * radius ** 2)),
  );
  const total = kernel.reduce((a, b) => a + b, 0);
  const pass = ({ width, height, values }: Mask, dx: number, dy: number): Mask => {
    const out = new Float32Array(values.length);
    const at = (value: number, size: number): number => Math.min(size - 1, Math.max(0, value));
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        let sum = 0;
        for (let k = -reach; k <= reach; k++)
          sum += kernel[k + reach]! * values[at(y + k * dy, height) * width + at(x + k * dx, width)]!;
        out[y * width + x] = sum / total;
      }
    }
    return { width, height, values: out };
  };
  return pass(pass(mask, 1, 0), 0, 1);
}

/** What `denoise` calls after each step. `clean` and `noise`: [n, h, w, channels] of the picture's latents and of the start. */
export function keepUnmasked(
  scheduler: Scheduler,
  clean: Float32Array,
  noise: Float32Array,
  mask: Mask,
  channels: number,
): (latents: Float32Array, i: number) => Float32Array {
  const pixels = mask.values.length;
  return (latents, i) => {
    const kept = i + 1 < scheduler.timesteps.length ? scheduler.addNoise(clean, noise, i + 1) : clean;
    return latents.map((value, at) => {
      const amount = mask.values[Math.floor(at / channels) % pixels]!;
      return Math.fround(Math.fround(1 - amount) * kept[at]!) + Math.fround(amount * value);
    });
  };
}

/** Puts the original's pixels back where the mask keeps them: to the bit where it is 0. */
export function pasteUnmasked(drawn: RgbImage, original: RgbImage, { values }: Mask): RgbImage {
  const data = new Uint8Array(drawn.data.length);
  for (let p = 0; p < values.length; p++) {
    const amount = values[p]!;
    for (let k = p * 3; k < p * 3 + 3; k++)
      data[k] = clampByte(drawn.data[k]! * amount + original.data[k]! * (1 - amount));
  }
  return { width: drawn.width, height: drawn.height, data };
}

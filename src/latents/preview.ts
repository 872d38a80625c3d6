/**
 * Cheap pictures of latents: an affine map from latent channels to RGB, fitted by least squares to the training images
 * themselves (each latent pixel against the mean colour of the pixels it stands for). It works for any VAE and costs nothing,
 * where decoding three images at every training step with a large one would cost more than the step.
 */
import { clampByte } from '../core/bytes.ts';
import type { RgbImage } from '../core/image.ts';
import { defined } from '../core/invariant.ts';
import type { LatentColours } from '../models/repository.ts';
import type { CachedLatents } from './cache.ts';

export type LatentPreview = LatentColours;

/** Fits the map to images and their latents' means. */
export function fitPreview(
  pairs: readonly { readonly image: RgbImage; readonly latents: CachedLatents }[],
  scalingFactor: number,
): LatentPreview {
  const channels = defined(pairs[0]).latents.channels;
  const size = channels + 1;
  // Normal equations: (XᵀX + ridge) M = XᵀY; the ridge keeps flat images from making the system singular.
  const gram = new Float64Array(size * size);
  const moments = new Float64Array(size * 3);
  let count = 0;
  for (const { image, latents } of pairs) {
    const factor = image.width / latents.width;
    const x = new Float64Array(size);
    x[channels] = 1;
    for (let row = 0; row < latents.height; row++) {
      for (let column = 0; column < latents.width; column++) {
        const at = (row * latents.width + column) * channels;
        for (let c = 0; c < channels; c++) x[c] = latents.plain.mean[at + c]! * scalingFactor;
        const rgb = meanColour(image, row * factor, column * factor, factor);
        for (let i = 0; i < size; i++) {
          for (let j = 0; j < size; j++) gram[i * size + j]! += x[i]! * x[j]!;
          for (let k = 0; k < 3; k++) moments[i * 3 + k]! += x[i]! * rgb[k]!;
        }
        count++;
      }
    }
  }
  for (let i = 0; i < size; i++) gram[i * size + i]! += 1e-4 * count;
  return { channels, matrix: solve(gram, moments, size) };
}

/** Paints latents [height, width, channels] at one pixel a latent pixel. */
export function previewLatents(
  { channels, matrix }: LatentPreview,
  latents: Float32Array,
  height: number,
  width: number,
): RgbImage {
  const data = new Uint8Array(height * width * 3);
  for (let p = 0; p < height * width; p++) {
    for (let k = 0; k < 3; k++) {
      let value = matrix[channels * 3 + k]!;
      for (let c = 0; c < channels; c++) value += latents[p * channels + c]! * matrix[c * 3 + k]!;
      data[p * 3 + k] = clampByte(value);
    }
  }
  return { width, height, data };
}

function meanColour(image: RgbImage, top: number, left: number, side: number): [number, number, number] {
  const sum: [number, number, number] = [0, 0, 0];
  for (let y = top; y < top + side; y++) {
    for (let x = left; x < left + side; x++) {
      const at = (y * image.width + x) * 3;
      for (let k = 0; k < 3; k++) sum[k]! += image.data[at + k]!;
    }
  }
  return [sum[0] / side ** 2, sum[1] / side ** 2, sum[2] / side ** 2];
}

/** Gaussian elimination with partial pivoting for a small symmetric system with three right-hand sides. */
function solve(gram: Float64Array, moments: Float64Array, size: number): Float64Array {
  const a = gram.slice();
  const b = moments.slice();
  for (let i = 0; i < size; i++) {
    let pivot = i;
    for (let r = i + 1; r < size; r++) if (Math.abs(a[r * size + i]!) > Math.abs(a[pivot * size + i]!)) pivot = r;
    for (let j = 0; j < size; j++) [a[i * size + j], a[pivot * size + j]] = [a[pivot * size + j]!, a[i * size + j]!];
    for (let k = 0; k < 3; k++) [b[i * 3 + k], b[pivot * 3 + k]] = [b[pivot * 3 + k]!, b[i * 3 + k]!];
    for (let r = 0; r < size; r++) {
      if (r === i) continue;
      const f = a[r * size + i]! / a[i * size + i]!;
      for (let j = i; j < size; j++) a[r * size + j]! -= f * a[i * size + j]!;
      for (let k = 0; k < 3; k++) b[r * 3 + k]! -= f * b[i * 3 + k]!;
    }
  }
  for (let i = 0; i < size; i++) for (let k = 0; k < 3; k++) b[i * 3 + k]! /= a[i * size + i]!;
  return b;
}

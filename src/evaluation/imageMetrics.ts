/**
 * How alike two pictures are: PSNR, and SSIM (Wang et al. 2004) with either window that is in use. Computed in float64 over bytes (a range
 * of 255), channels averaged. Source: skimage 0.26, metrics.peak_signal_noise_ratio and metrics.structural_similarity.
 */
import { LoratoryError } from '../core/errors.ts';
import type { RgbImage } from '../core/image.ts';

/** Two pictures cannot be compared. */
export class ImageMetricError extends LoratoryError {
  readonly code = 'image-metric';

  constructor(a: RgbImage, b: RgbImage, rule: string) {
    const size = ({ width, height }: RgbImage): string => `${width} x ${height}`;
    super(`Pictures of ${size(a)} and ${size(b)} pixels are compared, but ${rule}.`, 'Compare other pictures.', {
      a: size(a),
      b: size(b),
    });
  }
}

const CHANNELS = 3;
const RANGE = 255;

/** Peak signal-to-noise ratio in decibels; infinite for equal pictures. Throws {@link ImageMetricError}. */
export function psnr(a: RgbImage, b: RgbImage): number {
  checkSizes(a, b, 1);
  let sum = 0;
  for (let i = 0; i < a.data.length; i++) sum += (a.data[i]! - b.data[i]!) ** 2;
  return 10 * Math.log10(RANGE ** 2 / (sum / a.data.length));
}

/** Weights along one axis, and the factor from the window's variance to the one that is used. */
interface Window {
  readonly weights: readonly number[];
  readonly covariance: number;
}

const WINDOWS = { uniform: uniformWindow(7), gaussian: gaussianWindow(1.5, 3.5) } as const;

/**
 * Structural similarity, 1 for equal pictures: `uniform` is skimage's default (7 x 7, sample covariance), `gaussian` Wang's own (sigma
 * 1.5, 11 x 11). Only windows that lie within the pictures count. Throws {@link ImageMetricError}.
 */
export function ssim(a: RgbImage, b: RgbImage, window: keyof typeof WINDOWS): number {
  const { weights, covariance } = WINDOWS[window];
  checkSizes(a, b, weights.length);
  const [c1, c2] = [(0.01 * RANGE) ** 2, (0.03 * RANGE) ** 2];
  let sum = 0;
  for (let channel = 0; channel < CHANNELS; channel++) {
    const [x, y] = [plane(a, channel), plane(b, channel)];
    const mean = (values: Float64Array): Float64Array => filter(values, a.width, a.height, weights);
    const product = (p: Float64Array, q: Float64Array): Float64Array => mean(p.map((value, i) => value * q[i]!));
    const [ux, uy, uxx, uyy, uxy] = [mean(x), mean(y), product(x, x), product(y, y), product(x, y)];
    let total = 0;
    for (let i = 0; i < ux.length; i++) {
      const [mx, my] = [ux[i]!, uy[i]!];
      const vx = covariance * (uxx[i]! - mx * mx);
      const vy = covariance * (uyy[i]! - my * my);
      const vxy = covariance * (uxy[i]! - mx * my);
      total += ((2 * mx * my + c1) * (2 * vxy + c2)) / ((mx * mx + my * my + c1) * (vx + vy + c2));
    }
    sum += total / ux.length;
  }
  return sum / CHANNELS;
}

/** Both measures, SSIM with Wang's window; null for pictures of different sizes or of fewer pixels than the window has. */
export function likenessOf(a: RgbImage, b: RgbImage): { readonly psnr: number; readonly ssim: number } | null {
  try {
    return { psnr: psnr(a, b), ssim: ssim(a, b, 'gaussian') };
  } catch (error) {
    if (error instanceof ImageMetricError) return null;
    throw error;
  }
}

function checkSizes(a: RgbImage, b: RgbImage, least: number): void {
  if (a.width !== b.width || a.height !== b.height) throw new ImageMetricError(a, b, 'they must be of one size');
  if (Math.min(a.width, a.height) < least)
    throw new ImageMetricError(a, b, `each side must have at least ${least} pixels`);
}

/** Sample covariance divides by one less than the number of pixels in the window. */
function uniformWindow(size: number): Window {
  return { weights: Array.from({ length: size }, () => 1 / size), covariance: size ** 2 / (size ** 2 - 1) };
}

/** Cut off at `truncate` sigmas; population covariance. */
function gaussianWindow(sigma: number, truncate: number): Window {
  const radius = Math.floor(truncate * sigma + 0.5);
  const raw = Array.from({ length: 2 * radius + 1 }, (_, i) => Math.exp(-0.5 * ((i - radius) / sigma) ** 2));
  const sum = raw.reduce((total, weight) => total + weight, 0);
  return { weights: raw.map((weight) => weight / sum), covariance: 1 };
}

function plane({ data, width, height }: RgbImage, channel: number): Float64Array {
  return Float64Array.from({ length: width * height }, (_, i) => data[i * CHANNELS + channel]!);
}

/** Weighted means of every window that lies within the plane: rows first, then columns. */
function filter(values: Float64Array, width: number, height: number, weights: readonly number[]): Float64Array {
  const [outWidth, outHeight] = [width - weights.length + 1, height - weights.length + 1];
  const rows = new Float64Array(outWidth * height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < outWidth; x++)
      weights.forEach((weight, k) => (rows[y * outWidth + x]! += weight * values[y * width + x + k]!));
  }
  const out = new Float64Array(outWidth * outHeight);
  for (let i = 0; i < out.length; i++) weights.forEach((weight, k) => (out[i]! += weight * rows[i + k * outWidth]!));
  return out;
}

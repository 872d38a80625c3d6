/**
 * Images as training sees them: resized, cropped to their bucket (core/buckets.ts says where), values to [-1, 1].
 *
 * The resize is PIL's bilinear filter with its own fixed-point arithmetic, byte for byte: diffusers' scripts resize so (kohya's by OpenCV's
 * areas), and a browser's own scaling differs from it and between browsers. Source: Pillow src/libImaging/Resample.c; torchvision Resize,
 * CenterCrop. `preprocessTensor` is the same in floats, as torchvision does it to tensors.
 */
import { type Placement, roundedHalf } from '../core/buckets.ts';
import type { RgbImage } from '../core/image.ts';
import { invariant } from '../core/invariant.ts';

const CHANNELS = 3;
/** Bits after the point of PIL's 8-bit filter weights: what is left of 32 after 8 for the value and 2 for overshoot. */
const PRECISION_BITS = 22;

interface FilterTap {
  /** First source pixel. */
  readonly start: number;
  /** Weights of it and its successors; their sum is 1. */
  readonly weights: Float64Array;
}

/** Part of an axis of pixels. */
interface Span {
  readonly start: number;
  readonly length: number;
}

/** For the pixels `span` of an axis of `outSize` which pixels of `inSize` they are made of. The triangle widens when shrinking. */
function bilinearTaps(
  inSize: number,
  outSize: number,
  span: Span = { start: 0, length: outSize },
): readonly FilterTap[] {
  const scale = inSize / outSize;
  const support = Math.max(scale, 1);
  return Array.from({ length: span.length }, (_, i) => {
    const center = (span.start + i + 0.5) * scale;
    const start = Math.max(Math.trunc(center - support + 0.5), 0);
    const end = Math.min(Math.trunc(center + support + 0.5), inSize);
    const weights = Float64Array.from({ length: end - start }, (_weight, j) =>
      Math.max(0, 1 - Math.abs((j + start - center + 0.5) * (1 / support))),
    );
    const sum = weights.reduce((total, weight) => total + weight, 0);
    return { start, weights: weights.map((weight) => weight / sum) };
  });
}

interface Plane {
  readonly width: number;
  readonly height: number;
}

/** Walks one pass of a separable filter: every output value with the index of its first source value and the step to the next. */
function filterPass(
  { width, height }: Plane,
  axis: 'x' | 'y',
  taps: readonly FilterTap[],
  put: (out: number, first: number, stride: number, tap: number) => void,
): void {
  const outWidth = axis === 'x' ? taps.length : width;
  const outHeight = axis === 'x' ? height : taps.length;
  const stride = axis === 'x' ? CHANNELS : width * CHANNELS;
  for (let y = 0; y < outHeight; y++) {
    for (let x = 0; x < outWidth; x++) {
      const tap = axis === 'x' ? x : y;
      const { start } = taps[tap]!;
      const first = axis === 'x' ? (y * width + start) * CHANNELS : (start * width + x) * CHANNELS;
      const out = (y * outWidth + x) * CHANNELS;
      for (let c = 0; c < CHANNELS; c++) put(out + c, first + c, stride, tap);
    }
  }
}

function resizeAxis(image: RgbImage, axis: 'x' | 'y', outSize: number, span: Span): RgbImage {
  const { width, height, data } = image;
  const inSize = axis === 'x' ? width : height;
  if (inSize === outSize && span.length === outSize) return image;
  const taps = bilinearTaps(inSize, outSize, span);
  // PIL rounds each weight by itself, so that they need not sum to one exactly.
  const fixed = taps.map(({ weights }) => Int32Array.from(weights, (weight) => weight * 2 ** PRECISION_BITS + 0.5));
  const size = axis === 'x' ? { width: span.length, height } : { width, height: span.length };
  const out = new Uint8ClampedArray(size.width * size.height * CHANNELS);
  filterPass(image, axis, taps, (to, first, stride, tap) => {
    const weights = fixed[tap]!;
    let sum = 1 << (PRECISION_BITS - 1);
    for (let j = 0; j < weights.length; j++) sum += data[first + j * stride]! * weights[j]!;
    out[to] = sum >> PRECISION_BITS;
  });
  return { ...size, data: new Uint8Array(out.buffer) };
}

/** PIL's `Image.resize((width, height), BILINEAR)`, byte for byte. */
export function resize(image: RgbImage, width: number, height: number): RgbImage {
  return cropResized(image, { resized: { width, height }, bucket: { width, height }, left: 0, top: 0 });
}

/** An image as it is trained on: resized as {@link resize} does it, of which only the crop is computed. */
export function cropResized(image: RgbImage, { resized, bucket, left, top }: Placement): RgbImage {
  invariant(bucket.width > 0 && bucket.height > 0, 'An image is resized to at least one pixel', { ...bucket });
  invariant(
    left >= 0 && top >= 0 && left + bucket.width <= resized.width && top + bucket.height <= resized.height,
    'A crop lies within its image',
    { left, top, bucket, resized },
  );
  const narrow = resizeAxis(image, 'x', resized.width, { start: left, length: bucket.width });
  return resizeAxis(narrow, 'y', resized.height, { start: top, length: bucket.height });
}

function shorterSideTo({ width, height }: Plane, size: number): Plane {
  const long = Math.trunc((size * Math.max(width, height)) / Math.min(width, height));
  return width <= height ? { width: size, height: long } : { width: long, height: size };
}

/** Resizes so that the shorter side has `size` pixels; the longer one keeps the proportions, rounded down (torchvision Resize). */
export function resizeShorterSide(image: RgbImage, size: number): RgbImage {
  const { width, height } = shorterSideTo(image, size);
  return resize(image, width, height);
}

function cropOrigin({ width, height }: Plane, size: number): readonly [left: number, top: number] {
  invariant(width >= size && height >= size, 'A crop lies within its image', { width, height, size });
  return [roundedHalf(width - size), roundedHalf(height - size)];
}

/** The square of `size` pixels in the middle (torchvision CenterCrop). The image must be as large. */
export function centerCrop(image: RgbImage, size: number): RgbImage {
  const [left, top] = cropOrigin(image, size);
  const data = new Uint8Array(size * size * CHANNELS);
  for (let y = 0; y < size; y++) {
    const from = ((top + y) * image.width + left) * CHANNELS;
    data.set(image.data.subarray(from, from + size * CHANNELS), y * size * CHANNELS);
  }
  return { width: size, height: size, data };
}

/** The image mirrored left to right. */
export function flipHorizontal({ width, height, data }: RgbImage): RgbImage {
  const out = new Uint8Array(data.length);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const from = (y * width + (width - 1 - x)) * CHANNELS;
      out.set(data.subarray(from, from + CHANNELS), (y * width + x) * CHANNELS);
    }
  }
  return { width, height, data: out };
}

/** [0, 1] to [-1, 1] in float32, as torchvision's Normalize(0.5, 0.5) does it. */
const toSigned = (unit: number): number => Math.fround(Math.fround(unit) - 0.5) / 0.5;
const SIGNED_BYTES = Float32Array.from({ length: 256 }, (_, byte) => toSigned(byte / 255));

/** The pixels as the VAE takes them: [height, width, 3] in [-1, 1]. */
export function toModelRange({ data }: RgbImage): Float32Array<ArrayBuffer> {
  const out = new Float32Array(data.length);
  for (let i = 0; i < data.length; i++) out[i] = SIGNED_BYTES[data[i]!]!;
  return out;
}

/** A picture of floats, [height, width, 3]. */
export interface FloatImage {
  readonly width: number;
  readonly height: number;
  readonly data: Float32Array<ArrayBuffer>;
}

function resizeFloatAxis(image: FloatImage, axis: 'x' | 'y', outSize: number): FloatImage {
  const taps = bilinearTaps(axis === 'x' ? image.width : image.height, outSize);
  const size = axis === 'x' ? { width: outSize, height: image.height } : { width: image.width, height: outSize };
  const data = new Float32Array(size.width * size.height * CHANNELS);
  filterPass(image, axis, taps, (to, first, stride, tap) => {
    const { weights } = taps[tap]!;
    let sum = 0;
    for (let j = 0; j < weights.length; j++) sum += image.data[first + j * stride]! * weights[j]!;
    data[to] = sum;
  });
  return { ...size, data };
}

/**
 * The same preparation done in floats throughout, as torchvision does it to a tensor: `resized` in [0, 1], and `values`, its middle
 * square of `size` pixels in [-1, 1], [size, size, 3].
 */
export function preprocessTensor(
  image: RgbImage,
  size: number,
): { readonly resized: FloatImage; readonly values: Float32Array<ArrayBuffer> } {
  const { width, height } = shorterSideTo(image, size);
  const floats: FloatImage = { ...image, data: Float32Array.from(image.data, (byte) => byte / 255) };
  const resized = resizeFloatAxis(resizeFloatAxis(floats, 'x', width), 'y', height);
  const [left, top] = cropOrigin(resized, size);
  const values = new Float32Array(size * size * CHANNELS);
  for (let y = 0; y < size; y++) {
    const from = ((top + y) * width + left) * CHANNELS;
    values.set(resized.data.subarray(from, from + size * CHANNELS).map(toSigned), y * size * CHANNELS);
  }
  return { resized, values };
}

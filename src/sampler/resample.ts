/**
 * Enlarging and shrinking: pictures with PIL's Lanczos filter (what diffusers' image processor and A1111 resize with), byte for byte;
 * latents bilinearly, as torch's interpolate does. Sources: Pillow src/libImaging/Resample.c; torch UpSampleBilinear2d.
 */
import type { RgbImage } from '../core/image.ts';

const CHANNELS = 3;
/** Bits after the point of PIL's 8-bit filter weights. */
const PRECISION_BITS = 22;
/** Lobes of the filter. */
const LOBES = 3;

function lanczos(x: number): number {
  if (x === 0) return 1;
  if (Math.abs(x) >= LOBES) return 0;
  const angle = Math.PI * x;
  return (Math.sin(angle) / angle) * (Math.sin(angle / LOBES) / (angle / LOBES));
}

/** For each output pixel the first input pixel and the weights, rounded to fixed point one by one as PIL does. */
function lanczosTaps(inSize: number, outSize: number): { readonly start: number; readonly weights: Int32Array }[] {
  const scale = inSize / outSize;
  const filterScale = Math.max(scale, 1);
  const support = LOBES * filterScale;
  return Array.from({ length: outSize }, (_, i) => {
    const center = (i + 0.5) * scale;
    const start = Math.max(Math.trunc(center - support + 0.5), 0);
    const end = Math.min(Math.trunc(center + support + 0.5), inSize);
    const weights = Float64Array.from({ length: end - start }, (_weight, j) =>
      lanczos((j + start - center + 0.5) / filterScale),
    );
    const sum = weights.reduce((total, weight) => total + weight, 0);
    const fixed = Int32Array.from(weights, (weight) => {
      const value = (weight / sum) * 2 ** PRECISION_BITS;
      return value < 0 ? Math.trunc(value - 0.5) : Math.trunc(value + 0.5);
    });
    return { start, weights: fixed };
  });
}

function resizeAxis(image: RgbImage, axis: 'x' | 'y', outSize: number): RgbImage {
  const { width, height, data } = image;
  const inSize = axis === 'x' ? width : height;
  if (inSize === outSize) return image;
  const taps = lanczosTaps(inSize, outSize);
  const size = axis === 'x' ? { width: outSize, height } : { width, height: outSize };
  const out = new Uint8ClampedArray(size.width * size.height * CHANNELS);
  const stride = axis === 'x' ? CHANNELS : width * CHANNELS;
  for (let y = 0; y < size.height; y++) {
    for (let x = 0; x < size.width; x++) {
      const { start, weights } = taps[axis === 'x' ? x : y]!;
      const first = axis === 'x' ? (y * width + start) * CHANNELS : (start * width + x) * CHANNELS;
      for (let c = 0; c < CHANNELS; c++) {
        let sum = 1 << (PRECISION_BITS - 1);
        for (let j = 0; j < weights.length; j++) sum += data[first + j * stride + c]! * weights[j]!;
        // Negative lobes may overshoot 32 bits' sign; the array clamps to 0..255.
        out[(y * size.width + x) * CHANNELS + c] = Math.floor(sum / 2 ** PRECISION_BITS);
      }
    }
  }
  return { ...size, data: new Uint8Array(out.buffer) };
}

/** PIL's `Image.resize((width, height), LANCZOS)`. */
export function resizeLanczos(image: RgbImage, width: number, height: number): RgbImage {
  return resizeAxis(resizeAxis(image, 'x', width), 'y', height);
}

/** Brings a picture to a size: `stretch` both sides, or `crop` the middle of what covers it in its own proportions. */
export function fitTo(image: RgbImage, width: number, height: number, mode: 'crop' | 'stretch' = 'crop'): RgbImage {
  if (mode === 'stretch') return resizeLanczos(image, width, height);
  const scale = Math.max(width / image.width, height / image.height);
  const covering = resizeLanczos(
    image,
    Math.max(width, Math.round(image.width * scale)),
    Math.max(height, Math.round(image.height * scale)),
  );
  const left = Math.floor((covering.width - width) / 2);
  const top = Math.floor((covering.height - height) / 2);
  const data = new Uint8Array(width * height * CHANNELS);
  for (let y = 0; y < height; y++) {
    const from = ((top + y) * covering.width + left) * CHANNELS;
    data.set(covering.data.subarray(from, from + width * CHANNELS), y * width * CHANNELS);
  }
  return { width, height, data };
}

/** Latents [n, h, w, c] at another size: torch's interpolate(mode='bilinear', align_corners=False, antialias=False). */
export function resizeLatents(
  latents: Float32Array,
  [n, h, w, c]: readonly [n: number, h: number, w: number, c: number],
  [outH, outW]: readonly [number, number],
): Float32Array {
  const taps = (inSize: number, outSize: number): { a: number; b: number; t: number }[] =>
    Array.from({ length: outSize }, (_, i) => {
      const at = Math.max(0, ((i + 0.5) * inSize) / outSize - 0.5);
      const a = Math.min(Math.floor(at), inSize - 1);
      return { a, b: Math.min(a + 1, inSize - 1), t: at - a };
    });
  const rows = taps(h, outH);
  const columns = taps(w, outW);
  const out = new Float32Array(n * outH * outW * c);
  for (let i = 0; i < n; i++) {
    for (const [y, row] of rows.entries()) {
      for (const [x, column] of columns.entries()) {
        for (let k = 0; k < c; k++) {
          const at = (r: number, q: number): number => latents[((i * h + r) * w + q) * c + k]!;
          const above = at(row.a, column.a) * (1 - column.t) + at(row.a, column.b) * column.t;
          const below = at(row.b, column.a) * (1 - column.t) + at(row.b, column.b) * column.t;
          out[((i * outH + y) * outW + x) * c + k] = above * (1 - row.t) + below * row.t;
        }
      }
    }
  }
  return out;
}

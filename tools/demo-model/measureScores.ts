/** What the demo model is judged by: pure functions of pictures and names. */
import type { RgbImage } from '../../src/core/image.ts';
import { defined, invariant } from '../../src/core/invariant.ts';

export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** `count` of the items at even distances, beginning with the first; all of them where there are fewer. */
export function spread<T>(items: readonly T[], count: number): T[] {
  const n = Math.min(count, items.length);
  return Array.from({ length: n }, (_, i) => defined(items[Math.floor((i * items.length) / n)]));
}

/** Peak signal-to-noise ratio of two 8-bit pictures in dB; 90 dB, as of an error of 1e-9, for equal ones. */
export function psnr(a: RgbImage, b: RgbImage): number {
  invariant(a.width === b.width && a.height === b.height, 'Compared pictures have one size');
  let sum = 0;
  for (let i = 0; i < a.data.length; i++) sum += ((a.data[i]! - b.data[i]!) / 255) ** 2;
  return -10 * Math.log10(Math.max(sum / a.data.length, 1e-9));
}

/** The means of all 2 x 2 blocks of pixels, [height / 2, width / 2, 3]. */
export function halve({ width, height, data }: RgbImage): Float32Array {
  const [w, h] = [width >> 1, height >> 1];
  const row = width * 3;
  return Float32Array.from({ length: w * h * 3 }, (_, i) => {
    const pixel = Math.floor(i / 3);
    const at = 2 * Math.floor(pixel / w) * row + 2 * (pixel % w) * 3 + (i % 3);
    return (data[at]! + data[at + 3]! + data[at + row]! + data[at + row + 3]!) / 4;
  });
}

/** Which of the candidates has the least mean squared error to `query`: its index; the first of equals. */
export function nearest(query: Float32Array, candidates: readonly Float32Array[]): number {
  let best = -1;
  let least = Infinity;
  candidates.forEach((candidate, index) => {
    let sum = 0;
    for (let i = 0; i < query.length && sum < least; i++) sum += (query[i]! - candidate[i]!) ** 2;
    if (sum < least) {
      least = sum;
      best = index;
    }
  });
  return best;
}

/** A name's noun: its last word, in the singular ("clinking beer mugs" is about a mug). */
export function noun(name: string): string {
  const word = defined(name.split(' ').at(-1));
  if (/[^aeiou]ies$/.test(word)) return word.replace(/ies$/, 'y');
  if (/(ss|sh|ch|x)es$/.test(word)) return word.slice(0, -2);
  return /[^su]s$/.test(word) ? word.slice(0, -1) : word;
}

// Plan: where colours are an affine function of the latents, the fit recovers them; flat images do not break it.
import { expect, test } from 'vitest';
import type { RgbImage } from '../core/image.ts';
import type { CachedLatents } from './cache.ts';
import { fitPreview, previewLatents } from './preview.ts';

function pair(seed: number, flat = false): { image: RgbImage; latents: CachedLatents } {
  const side = 4;
  const factor = 2;
  const mean = Float32Array.from({ length: side * side * 4 }, (_, i) => (flat ? 0.5 : Math.sin(i * 1.7 + seed)));
  const image: RgbImage = {
    width: side * factor,
    height: side * factor,
    data: new Uint8Array(side * side * factor * factor * 3),
  };
  for (let y = 0; y < image.height; y++) {
    for (let x = 0; x < image.width; x++) {
      const at = (Math.floor(y / factor) * side + Math.floor(x / factor)) * 4;
      const [a = 0, b = 0, c = 0, d = 0] = mean.subarray(at, at + 4);
      const rgb = [128 + 50 * a - 20 * d, 128 + 40 * b, 128 + 30 * c + 10 * a];
      rgb.forEach((value, k) => (image.data[(y * image.width + x) * 3 + k] = Math.round(value)));
    }
  }
  return {
    image,
    latents: {
      height: side,
      width: side,
      channels: 4,
      plain: { mean, logvar: new Float32Array(mean.length) },
      flipped: null,
    },
  };
}

test('recovers an affine relation', () => {
  const pairs = [pair(1), pair(2), pair(3)];
  const preview = fitPreview(pairs, 0.18215);
  const scaled = pairs[1]!.latents.plain.mean.map((value) => value * 0.18215);
  const painted = previewLatents(preview, scaled, 4, 4);
  expect([painted.width, painted.height]).toEqual([4, 4]);
  for (let p = 0; p < 16; p++) {
    const source = (Math.floor(p / 4) * 2 * 8 + (p % 4) * 2) * 3;
    for (let k = 0; k < 3; k++)
      expect(Math.abs(painted.data[p * 3 + k]! - pairs[1]!.image.data[source + k]!)).toBeLessThanOrEqual(3);
  }
});

test('a single flat image gives finite colours', () => {
  const only = pair(0, true);
  const painted = previewLatents(fitPreview([only], 1), only.latents.plain.mean, 4, 4);
  expect(Math.abs(painted.data[0]! - only.image.data[0]!)).toBeLessThanOrEqual(2);
});

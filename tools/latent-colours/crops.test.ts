// Plan: crops lie within the picture and differ; smaller pictures are enlarged; a map that is right is off by nothing, a wrong one by what it is off.
import { expect, test } from 'vitest';
import type { RgbImage } from '../../src/core/image.ts';
import { TorchGenerator } from '../../src/core/rng.ts';
import { randomCrop, rmsError } from './crops.ts';

const ramp: RgbImage = {
  width: 20,
  height: 10,
  data: Uint8Array.from({ length: 600 }, (_, i) => Math.floor(i / 3) % 20),
};

test('crops are squares of the picture, here and there', () => {
  const rng = new TorchGenerator(1);
  const crops = Array.from({ length: 20 }, () => randomCrop(ramp, 4, rng));
  for (const { width, height, data } of crops) {
    expect([width, height, data.length]).toEqual([4, 4, 48]);
    expect([data[3]! - data[0]!, data[9]! - data[0]!]).toEqual([1, 3]);
  }
  expect(new Set(crops.map(({ data }) => data[0])).size).toBeGreaterThan(3);
  expect(randomCrop(ramp, 16, rng)).toMatchObject({ width: 16, height: 16 });
});

test('the error is that of the painted colours', () => {
  const image: RgbImage = { width: 2, height: 2, data: new Uint8Array(12).fill(100) };
  const plain = { mean: Float32Array.of(50, 50, 50, 50), logvar: new Float32Array(4) };
  const latents = { width: 2, height: 2, channels: 1, plain, flipped: null };
  const colours = (factor: number) => ({ channels: 1, matrix: Float64Array.of(factor, factor, factor, 0, 0, 0) });
  expect(rmsError(colours(1), [{ image, latents }], 2)).toBe(0);
  expect(rmsError(colours(1.1), [{ image, latents }], 2)).toBe(10);
});

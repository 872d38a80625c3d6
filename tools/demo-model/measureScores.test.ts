// Plan: each score on cases small enough to work out by hand: PSNR of known errors, block means, the nearest of a few, nouns in
// singular and plural, names spread evenly.
import { describe, expect, test } from 'vitest';
import type { RgbImage } from '../../src/core/image.ts';
import { InvariantError } from '../../src/core/errors.ts';
import { halve, mean, nearest, noun, psnr, spread } from './measureScores.ts';

const picture = (width: number, height: number, values: readonly number[]): RgbImage => ({
  width,
  height,
  data: Uint8Array.from(values),
});

describe('psnr', () => {
  test('of an error of a tenth of the range everywhere is 20 dB', () => {
    expect(psnr(picture(1, 1, [0, 100, 200]), picture(1, 1, [25, 125, 225]))).toBeCloseTo(20.172, 3);
    expect(psnr(picture(1, 1, [0, 0, 0]), picture(1, 1, [255, 255, 255]))).toBeCloseTo(0, 9);
  });

  test('of equal pictures is finite, of unequal sizes refused', () => {
    expect(psnr(picture(1, 1, [1, 2, 3]), picture(1, 1, [1, 2, 3]))).toBe(90);
    expect(() => psnr(picture(1, 1, [1, 2, 3]), picture(2, 1, [1, 2, 3, 4, 5, 6]))).toThrow(InvariantError);
  });
});

test('halve takes the mean of each block, channel by channel', () => {
  const values = Array.from({ length: 4 * 2 * 3 }, (_, i) => {
    const [pixel, channel] = [Math.floor(i / 3), i % 3];
    return 10 * (pixel % 4) + 40 * Math.floor(pixel / 4) + channel;
  });
  // Columns 0, 1 and 2, 3 of rows with 0, 10, 20, 30 and 40, 50, 60, 70.
  expect([...halve(picture(4, 2, values))]).toEqual([25, 26, 27, 45, 46, 47]);
});

test('nearest is the least squared distance, the first of equals', () => {
  const candidates = [Float32Array.of(0, 0), Float32Array.of(3, 4), Float32Array.of(3, 4), Float32Array.of(9, 9)];
  expect(nearest(Float32Array.of(3, 3), candidates)).toBe(1);
  expect(nearest(Float32Array.of(100, 100), candidates)).toBe(3);
});

test.each([
  ['cat face', 'face'],
  ['cherries', 'cherry'],
  ['chopsticks', 'chopstick'],
  ['clinking beer mugs', 'mug'],
  ['clinking glasses', 'glass'],
  ['rescue workers helmet', 'helmet'],
  ['compass', 'compass'],
  ['cactus', 'cactus'],
  ['pie', 'pie'],
])('the noun of "%s" is "%s"', (name, expected) => {
  expect(noun(name)).toBe(expected);
});

test('spread takes names at even distances, each once', () => {
  const items = Array.from({ length: 10 }, (_, i) => i);
  expect(spread(items, 4)).toEqual([0, 2, 5, 7]);
  expect(spread(items, 99)).toEqual(items);
  expect(mean(spread(items, 5))).toBe(4);
});

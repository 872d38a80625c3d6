// Plan: the bands of a picture, normalised by their common statistics, against the CPU reference and against GroupNorm of the picture in
// one piece: bands of different heights, several samples, with and without SiLU, and a small variance around a mean that differs
// from band to band.
import { concat, slice, tensor, type Tensor } from '@tensorflow/tfjs-core';
import { expect, test } from 'vitest';
import { readTensor } from '../runtime.ts';
import { checkOp, expectClose, noise, useTestRuntime } from '../testing.ts';
import { groupNorm } from './groupNorm.ts';
import { groupNormGiven, groupNormStatistics } from './groupNormBands.ts';

useTestRuntime();

interface Case {
  readonly shape: [number, number, number, number];
  readonly heights: number[];
  readonly groups: number;
  readonly silu: boolean;
  readonly drift?: number;
  readonly deviation?: number;
}

const cases: Case[] = [
  { shape: [1, 9, 7, 32], heights: [4, 4, 1], groups: 8, silu: true },
  { shape: [2, 12, 5, 12], heights: [3, 9], groups: 4, silu: false },
  { shape: [1, 70, 33, 64], heights: [33, 33, 4], groups: 32, silu: true },
  { shape: [2, 8, 8, 16], heights: [2, 2, 2, 2], groups: 2, silu: false, drift: 0.5, deviation: 0.05 },
];

test.each(cases)('$shape in bands of $heights', async ({ shape, heights, groups, silu, drift = 0, deviation = 2 }) => {
  const [n, height, width, channels] = shape;
  const size = n * height * width * channels;
  const values = noise(size, 1, deviation).map((v, i) => v + drift * Math.floor((i / (width * channels)) % height));
  const options = { groups, epsilon: 1e-6, silu };
  const affine = (): [Tensor, Tensor] => [tensor(noise(channels, 2)), tensor(noise(channels, 3))];
  const banded = (x: Tensor): Tensor => {
    let row = 0;
    const bands = heights.map((rows) => slice(x, [0, (row += rows) - rows, 0, 0], [n, rows, width, channels]));
    const statistics = groupNormStatistics(bands, options);
    return concat(
      bands.map((band) => groupNormGiven(band, statistics, ...affine(), options)),
      1,
    );
  };
  await checkOp({ inputs: { x: { shape, values } }, f: ({ x }) => banded(x!), atol: 1e-5, gradientAtol: null });
  const x = tensor(values, shape);
  const whole = await readTensor(groupNorm(x, ...affine(), options));
  expectClose(await readTensor(banded(x)), whole, 1e-5, 'in one piece');
  expect(whole.some((value) => Math.abs(value) > 0.5)).toBe(true);
});

// Plan: the scale is a power of two near the number of elements whose mean the loss is, over all batches of a step.
import { expect, test } from 'vitest';
import { lossScaleOf } from './lossScale.ts';

test('undoes the mean, by a power of two', () => {
  expect(lossScaleOf([{ shape: [1, 64, 64, 4] }])).toBe(2 ** 14);
  expect(lossScaleOf([{ shape: [2, 64, 64, 4] }])).toBe(2 ** 15);
  expect(lossScaleOf([{ shape: [1, 64, 64, 4] }, { shape: [1, 64, 64, 4] }])).toBe(2 ** 15);
  expect(lossScaleOf([{ shape: [1, 72, 56, 4] }])).toBe(2 ** 14);
  expect(lossScaleOf([{ shape: [1, 8, 8, 4] }])).toBe(2 ** 8);
});

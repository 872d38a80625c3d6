// Plan: output and gradient against the CPU reference, several images, odd sizes and channels; values by hand; the error.
import { setBackend, tensor } from '@tensorflow/tfjs-core';
import { expect, test } from 'vitest';
import { readTensor } from '../runtime.ts';
import { checkOp, noise, useTestRuntime } from '../testing.ts';
import { upsampleNearest2x } from './upsample.ts';

useTestRuntime();

test.each([
  { shape: [2, 3, 5, 7], size: 210 },
  { shape: [1, 1, 1, 1], size: 1 },
  { shape: [1, 9, 8, 12], size: 864 },
])('upsampleNearest2x of $shape: output and gradient', async ({ shape, size }) => {
  await checkOp({
    inputs: { x: { shape, values: noise(size, 1) } },
    f: ({ x }) => upsampleNearest2x(x!),
    atol: 0,
    gradientAtol: 1e-6,
  });
});

test('upsampleNearest2x repeats every pixel', async () => {
  await setBackend('webgpu');
  const y = upsampleNearest2x(tensor([1, 2, 3, 4], [1, 1, 2, 2]));
  expect(y.shape).toEqual([1, 2, 4, 2]);
  expect([...(await readTensor(y))]).toEqual([1, 2, 1, 2, 3, 4, 3, 4, 1, 2, 1, 2, 3, 4, 3, 4]);
});

test('upsampleNearest2x takes images only', () => {
  expect(() => upsampleNearest2x(tensor([1, 2], [1, 2]))).toThrow('x must be [N, H, W, C]');
});

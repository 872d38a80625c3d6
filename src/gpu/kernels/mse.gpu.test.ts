// Plan: value and gradient against the CPU reference, below one workgroup's chunk and over several; bits that do not change
// from run to run; the error for unequal shapes.
import { setBackend, tensor } from '@tensorflow/tfjs-core';
import { expect, test } from 'vitest';
import { readTensor } from '../runtime.ts';
import { checkOp, noise, useTestRuntime } from '../testing.ts';
import { meanSquaredError } from './mse.ts';

useTestRuntime();

test.each([
  { shape: [1], size: 1 },
  { shape: [3, 5, 7], size: 105 },
  { shape: [2, 31, 33, 7], size: 14322 },
])('meanSquaredError over $shape', async ({ shape, size }) => {
  await checkOp({
    inputs: { prediction: { shape, values: noise(size, 1) } },
    f: ({ prediction }) => meanSquaredError(prediction!, tensor(noise(size, 2), shape)),
    atol: 1e-6,
    gradientAtol: 1e-6,
  });
});

test('meanSquaredError is a scalar of the same bits in every run', async () => {
  await setBackend('webgpu');
  const [prediction, target] = [tensor(noise(50_000, 3)), tensor(noise(50_000, 4))];
  const first = meanSquaredError(prediction, target);
  expect(first.shape).toEqual([]);
  const [bits] = await readTensor(first);
  for (let i = 0; i < 3; i++) expect((await readTensor(meanSquaredError(prediction, target)))[0]).toBe(bits);
});

test('meanSquaredError says when the shapes differ', () => {
  expect(() => meanSquaredError(tensor([1, 2], [2]), tensor([1, 2], [1, 2]))).toThrow('the shapes must be equal');
});

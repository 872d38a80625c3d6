// Plan: every kind, with and without a mask, value and gradient against the CPU reference, below one workgroup's chunk and over several;
// the mean squared error by hand; tiny errors keep their digits; bits that do not change from run to run; unequal shapes.
import { setBackend, tensor } from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import type { LossKind } from '../../core/trainOptions.ts';
import { readTensor } from '../runtime.ts';
import { checkOp, noise, useTestRuntime } from '../testing.ts';
import { diffusionLoss } from './diffusionLoss.ts';

useTestRuntime();

const kinds: LossKind[] = ['l2', 'huber', 'smoothL1'];

describe.each(kinds)('%s', (kind) => {
  test.each([
    ['one value', [1, 1, 1, 1], false],
    ['two examples', [2, 3, 5, 4], false],
    ['a mask', [2, 3, 5, 4], true],
    ['several chunks', [2, 40, 40, 4], true],
  ] as const)('%s', async (_, shape, masked) => {
    const [n, h, w, c] = shape;
    const size = n * h * w * c;
    await checkOp({
      inputs: { prediction: { shape: [...shape], values: noise(size, 1, 2) } },
      f: ({ prediction }) =>
        diffusionLoss(kind, {
          prediction: prediction!,
          target: tensor(noise(size, 2, 2), [...shape]),
          deltas: tensor(Float32Array.from({ length: n }, (_value, i) => 0.1 + i)),
          mask: masked ? tensor(noise(n * h * w, 3).map(Math.abs), [n, h, w]) : null,
        }),
      atol: 1e-5,
      gradientAtol: 1e-6,
      numericRtol: 3e-2,
    });
  });
});

test('the mean squared error of each example', async () => {
  await setBackend('webgpu');
  const prediction = tensor([1, 2, 3, 4], [2, 1, 1, 2]);
  const losses = diffusionLoss('l2', { prediction, target: tensor([0, 0, 3, 1], [2, 1, 1, 2]) });
  expect(Array.from(await readTensor(losses))).toEqual([2.5, 4.5]);
});

test('a tiny error keeps its digits: smooth L1 of 1e-4 at delta 1 is 1e-8', async () => {
  await setBackend('webgpu');
  const losses = diffusionLoss('smoothL1', {
    prediction: tensor([1e-4], [1, 1, 1, 1]),
    target: tensor([0], [1, 1, 1, 1]),
    deltas: tensor([1]),
  });
  expect(((await readTensor(losses))[0]! - 1e-8) / 1e-8).toBeCloseTo(0, 5);
});

test('equal inputs give equal bits', async () => {
  await setBackend('webgpu');
  const [prediction, target] = [1, 2].map((seed) => tensor(noise(3 * 9000, seed), [3, 30, 75, 4]));
  const losses = async (): Promise<Float32Array> =>
    readTensor(diffusionLoss('l2', { prediction: prediction!, target: target! }));
  expect(await losses()).toEqual(await losses());
});

test('unequal shapes are refused', () => {
  const inputs = { prediction: tensor([1, 2], [1, 1, 1, 2]), target: tensor([1], [1, 1, 1, 1]) };
  expect(() => diffusionLoss('l2', inputs)).toThrow('the shapes do not belong together');
  expect(() => diffusionLoss('huber', { ...inputs, target: inputs.prediction })).toThrow('do not belong together');
});

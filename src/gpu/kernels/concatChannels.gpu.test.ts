// Plan: output and both gradients against the CPU reference, for parts of equal and of different widths; widths without a gradient.
import { tensor } from '@tensorflow/tfjs-core';
import { expect, test } from 'vitest';
import { vjp } from '../gradients.ts';
import { checkOp, noise, useTestRuntime } from '../testing.ts';
import { concatChannels } from './concatChannels.ts';

useTestRuntime();

test.each([
  { pixels: [2, 3, 5], a: 8, b: 8 },
  { pixels: [1, 17, 19], a: 4, b: 12 },
  { pixels: [1, 1, 1], a: 20, b: 4 },
])('$pixels pixels of $a and $b channels', async ({ pixels, a, b }) => {
  const size = pixels.reduce((x, y) => x * y, 1);
  await checkOp({
    inputs: {
      a: { shape: [...pixels, a], values: noise(size * a, 1) },
      b: { shape: [...pixels, b], values: noise(size * b, 2) },
    },
    f: ({ a: first, b: second }) => concatChannels(first!, second!),
    atol: 0,
    gradientAtol: 0,
  });
});

test('widths that are no multiple of 4 have no gradient', () => {
  const [a, b] = [tensor(noise(6, 1), [2, 3]), tensor(noise(8, 2), [2, 4])];
  const tape = vjp(() => [concatChannels(a, b)], [a]);
  expect(() => tape.backward([tensor(noise(14, 3), [2, 7])])).toThrow('concatChannels: multiples of 4');
});

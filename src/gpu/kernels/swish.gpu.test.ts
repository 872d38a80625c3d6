// Plan: output and gradient against the CPU reference, over a range where the sigmoid saturates on both sides; far outside
// of it (exp would overflow) the output must still be a number.
import { tensor } from '@tensorflow/tfjs-core';
import { expect, test } from 'vitest';
import { readTensor } from '../runtime.ts';
import { checkOp, noise, useTestRuntime } from '../testing.ts';
import { quickGelu, silu } from './swish.ts';

useTestRuntime();

test.each([
  ['silu', silu],
  ['quickGelu', quickGelu],
])('%s: output and gradient', async (_name, activation) => {
  await checkOp({
    inputs: { x: { shape: [3, 7, 4], values: noise(84, 1, 8) } },
    f: ({ x }) => activation(x!),
    atol: 1e-5,
    gradientAtol: 1e-5,
  });
});

test('silu: large arguments saturate', async () => {
  const values = await readTensor(silu(tensor([-1e4, -100, 100, 1e4])));
  expect([...values].map((v) => v + 0)).toEqual([0, 0, 100, 1e4].map((v) => expect.closeTo(v, 5)));
});

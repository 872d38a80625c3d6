// Plan: output and gradient against the CPU reference, over a range where the sigmoid saturates on both sides.
import { test } from 'vitest';
import { checkOp, noise, useTestRuntime } from '../testing.ts';
import { quickGelu } from './quickGelu.ts';

useTestRuntime();

test('quickGelu: output and gradient', async () => {
  await checkOp({
    inputs: { x: { shape: [3, 7, 4], values: noise(84, 1, 8) } },
    f: ({ x }) => quickGelu(x!),
    atol: 1e-5,
    gradientAtol: 1e-5,
  });
});

// Plan: ten steps against a plain double-precision Lion, on the GPU and on the CPU reference, as for AdamW.
import { describe, expect, test } from 'vitest';
import { expectClose, noise, useTestRuntime } from '../testing.ts';
import { lionStep } from './lion.ts';
import { factorsOf, gradientsAt, tenSteps } from './optimizerTesting.ts';
import { pageBlock } from './parameterPage.ts';

useTestRuntime();

const options = { learningRate: 1e-2, beta1: 0.9, beta2: 0.99, weightDecay: 0.1 };

/** lion_pytorch/lion_pytorch.py, `update_fn`, in double precision, for gradients scaled by a half. */
function plainLion(blocks: number): number[] {
  const { learningRate, beta1, beta2, weightDecay } = options;
  const size = blocks * pageBlock;
  const factors = factorsOf(blocks);
  const p = Array.from(noise(size, 1));
  const m = p.map(() => 0);
  for (let step = 1; step <= 10; step++) {
    gradientsAt(size, step).forEach((value, i) => {
      const gradient = value / 2;
      const rate = learningRate * factors[Math.floor(i / pageBlock)]!;
      p[i]! *= 1 - rate * weightDecay;
      p[i]! -= rate * Math.sign(beta1 * m[i]! + (1 - beta1) * gradient);
      m[i] = beta2 * m[i]! + (1 - beta2) * gradient;
    });
  }
  return p;
}

describe.each(['cpu', 'webgpu'])('lionStep on %s', (backend) => {
  test.each([1, 5])('equals a plain Lion after ten steps over %d blocks', async (blocks) => {
    const { values } = await tenSteps(backend, blocks, 1, (page, state, report) =>
      lionStep(page, state, report, options),
    );
    expectClose(values, plainLion(blocks), 1e-6);
    expect(values).not.toEqual(noise(blocks * pageBlock, 1));
  });
});

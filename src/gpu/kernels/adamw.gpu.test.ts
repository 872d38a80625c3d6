// Plan: ten steps against a plain double-precision AdamW, on the GPU and on the CPU reference, with a learning rate that changes and
// differs by block, with scaled gradients, and a step that is not applied; one dispatch; nothing leaks; the error.
import { memory, setBackend, tensor } from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import { runtime } from '../runtime.ts';
import { expectClose, noise, useTestRuntime } from '../testing.ts';
import { adamwStep, type AdamWStep } from './adamw.ts';
import { factorsOf, gradientsAt, makePage, reportOf, tenSteps } from './optimizerTesting.ts';
import { pageBlock } from './parameterPage.ts';

useTestRuntime();

function optionsAt(step: number): AdamWStep {
  return { learningRate: 1e-2 / step, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0.1, step };
}

/** torch/optim/adamw.py, `_single_tensor_adamw`, in double precision, for gradients scaled by a half. */
function plainAdamW(blocks: number): number[] {
  const size = blocks * pageBlock;
  const factors = factorsOf(blocks);
  const p = Array.from(noise(size, 1));
  const m = p.map(() => 0);
  const v = p.map(() => 0);
  for (let step = 1; step <= 10; step++) {
    const { learningRate, beta1, beta2, epsilon, weightDecay } = optionsAt(step);
    gradientsAt(size, step).forEach((value, i) => {
      const gradient = value / 2;
      const rate = learningRate * factors[Math.floor(i / pageBlock)]!;
      p[i]! *= 1 - rate * weightDecay;
      m[i] = beta1 * m[i]! + (1 - beta1) * gradient;
      v[i] = beta2 * v[i]! + (1 - beta2) * gradient * gradient;
      const denominator = Math.sqrt(v[i]) / Math.sqrt(1 - beta2 ** step) + epsilon;
      p[i]! -= ((rate / (1 - beta1 ** step)) * m[i]) / denominator;
    });
  }
  return p;
}

describe.each(['cpu', 'webgpu'])('adamwStep on %s', (backend) => {
  test.each([1, 5])('equals a plain AdamW after ten steps over %d blocks, and leaks nothing', async (blocks) => {
    await setBackend(backend);
    const before = memory().numTensors;
    const { values } = await tenSteps(backend, blocks, 2, (page, state, report, step) =>
      adamwStep(page, state, report, optionsAt(step)),
    );
    expectClose(values, plainAdamW(blocks), 1e-6);
    expect(memory().numTensors).toBe(before);
  });
});

test('takes one dispatch, however many parameters lie in the page; steps count from 1', async () => {
  await setBackend('webgpu');
  const page = makePage(40, 1);
  const state = tensor(new Float32Array(2 * page.values.size));
  const before = runtime().counters.dispatches;
  adamwStep(page, state, reportOf(1), optionsAt(1));
  expect(runtime().counters.dispatches - before).toBe(1);
  expect(() => adamwStep(page, state, reportOf(1), optionsAt(0))).toThrow('steps count from 1');
});

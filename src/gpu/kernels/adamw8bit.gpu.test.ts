// Plan: the map has bitsandbytes' values; ten steps on the GPU against the CPU reference, and both near a plain AdamW; zeros stay zeros;
// a step that is not applied changes no bit; restored bytes go on alike.
import { memory, setBackend, tensor } from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import { expectClose, noise, useTestRuntime } from '../testing.ts';
import { adamwStep, type AdamWStep } from './adamw.ts';
import { adamw8bitStep, createAdamW8bitState, dynamicMap } from './adamw8bit.ts';
import { disposePage, gradientsAt, makePage, reportOf, tenSteps, valuesOf, withGradients } from './optimizerTesting.ts';
import { pageBlock } from './parameterPage.ts';

useTestRuntime();

function optionsAt(step: number): AdamWStep {
  return { learningRate: 1e-2 / step, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0.1, step };
}

async function values8bit(backend: string, blocks: number): Promise<Float32Array> {
  await setBackend(backend);
  const report = reportOf(0.5);
  let page = makePage(blocks, 1);
  const state = createAdamW8bitState(page);
  for (let step = 1; step <= 10; step++) {
    page = withGradients(page, gradientsAt(blocks * pageBlock, step));
    adamw8bitStep(page, state, report, optionsAt(step));
  }
  const values = await valuesOf(page.values);
  for (const t of [report, state]) t.dispose();
  disposePage(page);
  return values;
}

describe('dynamicMap', () => {
  test('signed: 256 codes, both signs of 127, and 0 and 1', () => {
    const map = dynamicMap(true);
    expect(map).toHaveLength(256);
    expectClose(map.subarray(0, 2), [-0.99296875, -0.97890625], 1e-7);
    expect(map[127]).toBe(0);
    expectClose(map.subarray(128, 131), [5.5e-7, 3.25e-6, 7.75e-6], 1e-12);
    expect(map[255]).toBe(1);
  });

  test('unsigned: twice as fine', () => {
    const map = dynamicMap(false);
    expect(map).toHaveLength(256);
    expect(map[0]).toBe(0);
    expectClose(map.subarray(1, 3), [3.25e-7, 7.75e-7], 1e-12);
    expectClose(map.subarray(254), [0.996484375, 1], 1e-7);
  });
});

test.each([1, 5])('the GPU equals the CPU reference over %d blocks; both stay near AdamW', async (blocks) => {
  await setBackend('cpu');
  const before = memory().numTensors;
  const cpu = await values8bit('cpu', blocks);
  expect(memory().numTensors).toBe(before);
  expectClose(await values8bit('webgpu', blocks), cpu, 3e-4);
  const { values } = await tenSteps('cpu', blocks, 2, (page, state, report, step) =>
    adamwStep(page, state, report, optionsAt(step)),
  );
  // The steps are of 1e-2, 5e-3, 3.3e-3 ...: 0.029 in all.
  const mean = (error: (i: number) => number): number => cpu.reduce((sum, _, i) => sum + error(i), 0) / cpu.length;
  expect(mean((i) => Math.abs(cpu[i]! - values[i]!))).toBeLessThan(1e-3);
  expect(mean((i) => Math.abs(cpu[i]! - noise(blocks * pageBlock, 1)[i]!))).toBeGreaterThan(5e-3);
});

test('a value that stops moving is not flung away: its mean square stays above 0', async () => {
  await setBackend('webgpu');
  const gradients = new Float32Array(pageBlock).fill(1);
  gradients[7] = 1e-5;
  const page = withGradients({ ...makePage(1, 1), values: tensor(new Float32Array(pageBlock)) }, gradients);
  const state = createAdamW8bitState(page);
  adamw8bitStep(page, state, reportOf(1), optionsAt(1));
  gradients[7] = 0;
  adamw8bitStep(withGradients(page, gradients), state, reportOf(1), optionsAt(2));
  expect(Math.abs((await valuesOf(page.values))[7]!)).toBeLessThan(0.03);
});

test('padding stays zero; a step that is not applied changes nothing', async () => {
  await setBackend('webgpu');
  const page = { ...makePage(1, 1), values: tensor(new Float32Array(pageBlock)) };
  const state = createAdamW8bitState(page);
  adamw8bitStep(page, state, reportOf(1), optionsAt(1));
  expect(await valuesOf(page.values)).toEqual(new Float32Array(pageBlock));
  const learning = withGradients(page, gradientsAt(pageBlock, 1));
  const before = await valuesOf(state);
  adamw8bitStep(learning, state, reportOf(0), optionsAt(2));
  expect(await valuesOf(page.values)).toEqual(new Float32Array(pageBlock));
  expect(new Uint32Array((await valuesOf(state)).buffer)).toEqual(new Uint32Array(before.buffer));
});

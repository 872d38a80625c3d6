// Plan: norm and factor of one page and of several, of many chunks, below and above the largest norm and without one, on GPU and CPU; a NaN or an
// infinity in a gradient or a loss forbids the step; the same bits every time; the average of weights, and that it waits.
import { setBackend, tensor } from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import { expectClose, noise, useTestRuntime } from '../testing.ts';
import { averageWeights } from './averageWeights.ts';
import { gradientNorm } from './gradientNorm.ts';
import { reportOf, valuesOf } from './optimizerTesting.ts';

useTestRuntime();

async function report(
  pages: readonly Float32Array[],
  maxNorm: number,
  losses: readonly number[] = [1],
  scale = 1,
): Promise<number[]> {
  const result = tensor(Float32Array.of(-1, -1, ...losses));
  const gradients = pages.map((values) => tensor(values));
  gradientNorm(gradients, result, maxNorm, scale);
  const values = Array.from(await valuesOf(result));
  for (const t of [result, ...gradients]) t.dispose();
  return values;
}

function normOf(pages: readonly Float32Array[]): number {
  return Math.sqrt(pages.flatMap((page) => Array.from(page)).reduce((sum, value) => sum + value ** 2, 0));
}

describe.each(['cpu', 'webgpu'])('gradientNorm on %s', (backend) => {
  test.each([
    ['one page', [256]],
    ['three pages, of many chunks', [256, 20480, 8192]],
  ])('%s', async (_, sizes) => {
    await setBackend(backend);
    const pages = sizes.map((size, i) => noise(size, i));
    const norm = normOf(pages);
    expectClose(await report(pages, 2 * norm, [3, 4]), [1, norm, 3, 4], 2e-5 * norm);
    expectClose(await report(pages, norm / 4), [0.25, norm, 1], 2e-5 * norm);
    expectClose(await report(pages, 0), [1, norm, 1], 2e-5 * norm);
  });

  test('a scale is divided out of the norm and what the optimizer multiplies by', async () => {
    await setBackend(backend);
    const pages = [noise(256, 1), noise(512, 2)];
    const [factor = 0, norm] = await report(pages, 2);
    const scaled = pages.map((page) => page.map((value) => value * 2 ** 14));
    expect(await report(scaled, 2, [1], 2 ** 14)).toEqual([factor / 2 ** 14, norm, 1]);
    expect(await report(scaled, 0, [1], 2 ** 14)).toEqual([2 ** -14, norm, 1]);
  });

  test('zeros are no reason to stop', async () => {
    await setBackend(backend);
    expect(await report([new Float32Array(256)], 1)).toEqual([1, 0, 1]);
  });

  test.each([NaN, Infinity, -Infinity, 1e30])('%f among the gradients forbids the step', async (bad) => {
    await setBackend(backend);
    const page = noise(8192, 1);
    page[5000] = bad;
    const [factor] = await report([noise(256, 2), page], 1);
    expect(factor).toBe(0);
  });

  test.each([NaN, Infinity])('a loss of %f forbids the step', async (bad) => {
    await setBackend(backend);
    const [factor] = await report([noise(256, 2)], 0, [1, bad, 1]);
    expect(factor).toBe(0);
  });

  test('averageWeights moves towards the values by 1 - decay, and waits for steps that are applied', async () => {
    await setBackend(backend);
    const [average, values] = [tensor(noise(512, 1)), tensor(noise(512, 2))];
    averageWeights(average, values, reportOf(0), 0.9);
    expect(await valuesOf(average)).toEqual(noise(512, 1));
    averageWeights(average, values, reportOf(0.3), 0.9);
    const expected = noise(512, 1).map((value, i) => 0.9 * value + 0.1 * noise(512, 2)[i]!);
    expectClose(await valuesOf(average), expected, 1e-6);
  });
});

test('equal gradients give equal bits', async () => {
  await setBackend('webgpu');
  const pages = [noise(20480, 1), noise(8192, 2)];
  expect(await report(pages, 1)).toEqual(await report(pages, 1));
});

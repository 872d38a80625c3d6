// Plan: a linear layer on a device whose tiles are tuned: its bits before, while and after its tiles are measured, without an error, a
// dispatch or a byte more; no tuner on software GPUs unless it is asked for.
import { tensor } from '@tensorflow/tfjs-core';
import { expect, test } from 'vitest';
import { defined } from '../../core/invariant.ts';
import { readTensor } from '../ops.ts';
import { finishGpuWork, runtime } from '../runtime.ts';
import { noise, packedWeights, useTestRuntime } from '../testing.ts';
import { linear } from './linear.ts';
import { nameOf, tileShapes } from './tile.ts';
import { startTileTuner, tileTuner } from './tileTuner.ts';

useTestRuntime();

test('tiles are measured behind the work, which stays the same to the bit', async () => {
  expect(startTileTuner()).toBeNull();
  // So few rows that most shapes are out of question, and need not be compiled.
  const [rows, inFeatures, outFeatures] = [30, 520, 2052];
  const x = tensor(noise(rows * inFeatures, 1), [rows, inFeatures]);
  const bias = tensor(noise(outFeatures, 2));
  const weights = { weight: packedWeights(noise(outFeatures * inFeatures, 3, 0.1)), bias, inFeatures, outFeatures };
  const run = async (): Promise<Float32Array> => {
    const y = linear(x, weights);
    const values = await readTensor(y);
    y.dispose();
    return values;
  };
  const expected = await run();
  await finishGpuWork();
  const { liveBytes, dispatches } = runtime().counters;

  const tuner = defined(startTileTuner({ onSoftware: true }));
  expect(tileTuner()).toBe(tuner);
  let runs = 0;
  await tuner.exhaust(async () => {
    runs++;
    expect(await run()).toEqual(expected);
  });
  // The first compiles, the second is measured, at least.
  expect(runs).toBeGreaterThanOrEqual(3);
  const [found, ...others] = tuner.choices();
  expect(others).toEqual([]);
  expect(found!.key).toMatch(/^linear /);
  expect(tileShapes.map(nameOf)).toContain(found!.choice);
  expect(found!.gain).toBeGreaterThanOrEqual(1);
  expect(await run()).toEqual(expected);
  await finishGpuWork();
  expect(runtime().counters.dispatches - dispatches).toBe(runs + 1);
  expect(runtime().counters.liveBytes).toBe(liveBytes);
});

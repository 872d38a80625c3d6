// Plan: batches depend on (seed, step) alone; every epoch shows every image once; flips and timesteps are distributed as asked.
import { expect, test } from 'vitest';
import { planBatch, type BatchPlan } from './batches.ts';

const plan: BatchPlan = { seed: 42, imageCount: 7, trainBatchSize: 2, flipProbability: 0.5, numTrainTimesteps: 1000 };

test('a step drawn alone equals the same step of a run', () => {
  const run = Array.from({ length: 20 }, (_, step) => planBatch(plan, step));
  expect(planBatch(plan, 13)).toEqual(run[13]);
  expect(planBatch({ ...plan, seed: 43 }, 13)).not.toEqual(run[13]);
});

test('every epoch shows every image once, in a new order', () => {
  const images = Array.from({ length: 14 }, (_, step) => planBatch(plan, step).map((entry) => entry.image)).flat();
  const epochs = [0, 1, 2, 3].map((epoch) => images.slice(epoch * 7, epoch * 7 + 7));
  for (const epoch of epochs) expect(epoch.toSorted((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5, 6]);
  expect(new Set(epochs.map(String)).size).toBeGreaterThan(1);
});

test('a batch larger than the dataset runs on into the next epoch', () => {
  const images = planBatch({ ...plan, imageCount: 3, trainBatchSize: 8 }, 0).map((entry) => entry.image);
  expect(images.slice(0, 3).toSorted((a, b) => a - b)).toEqual([0, 1, 2]);
  expect(images.slice(3, 6).toSorted((a, b) => a - b)).toEqual([0, 1, 2]);
});

test('timesteps cover the whole schedule evenly; half of the images are flipped', () => {
  const entries = Array.from({ length: 2000 }, (_, step) => planBatch(plan, step)).flat();
  const mean = entries.reduce((sum, entry) => sum + entry.timestep, 0) / entries.length;
  expect(mean).toBeGreaterThan(480);
  expect(mean).toBeLessThan(520);
  expect(Math.min(...entries.map((entry) => entry.timestep))).toBeLessThan(5);
  expect(Math.max(...entries.map((entry) => entry.timestep))).toBeGreaterThan(994);
  expect(Math.max(...entries.map((entry) => entry.timestep))).toBeLessThan(1000);
  const flipped = entries.filter((entry) => entry.flipped).length / entries.length;
  expect(flipped).toBeGreaterThan(0.46);
  expect(flipped).toBeLessThan(0.54);
});

test.each([
  [0, false],
  [1, true],
])('flip probability %f flips all or none', (flipProbability, flipped) => {
  for (let step = 0; step < 20; step++) {
    for (const entry of planBatch({ ...plan, flipProbability }, step)) expect(entry.flipped).toBe(flipped);
  }
});

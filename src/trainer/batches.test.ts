/**
 * Plan: batches depend on (seed, batch number) alone; every epoch shows every image as often as its repeats say; a batch holds one
 * bucket; class images are shown as often as the others, all in turn; flips, timesteps, crops and dropped captions are distributed as
 * asked.
 */
import { expect, test } from 'vitest';
import { batchesPerEpoch, type PlannedImage } from '../core/epochs.ts';
import { planBatch, type BatchPlan } from './batches.ts';

const image = (bucket: string, repeats = 1, crops = 1, isClass = false): PlannedImage => ({
  bucket,
  repeats,
  crops,
  isClass,
});
const plan: BatchPlan = {
  seed: 42,
  images: Array.from({ length: 7 }, () => image('512x512')),
  trainBatchSize: 2,
  flipProbability: 0.5,
  captionDropout: 0,
  numTrainTimesteps: 1000,
};
const mixed: BatchPlan = {
  ...plan,
  images: [image('512x512'), image('512x512', 3), image('448x576', 2), image('576x448'), image('448x576')],
};

/** The images of every batch of an epoch. */
function epochOf(of: BatchPlan, epoch: number): number[][] {
  const count = batchesPerEpoch(of);
  return Array.from({ length: count }, (_, i) => planBatch(of, epoch * count + i).map((entry) => entry.image));
}

test('a batch drawn alone equals the same batch of a run', () => {
  for (const of of [plan, mixed]) {
    const run = Array.from({ length: 20 }, (_, batch) => planBatch(of, batch));
    expect(planBatch(of, 13)).toEqual(run[13]);
    expect(planBatch({ ...of, seed: 43 }, 13)).not.toEqual(run[13]);
  }
});

test('every epoch shows every image once, in a new order', () => {
  const epochs = [0, 1, 2, 3].map((epoch) => epochOf(plan, epoch).flat());
  for (const epoch of epochs) expect(epoch.toSorted((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5, 6]);
  expect(new Set(epochs.map(String)).size).toBeGreaterThan(1);
});

test('every epoch shows every image as often as its repeats say, buckets apart', () => {
  for (let epoch = 0; epoch < 10; epoch++) {
    const batches = epochOf(mixed, epoch);
    expect(batches.flat().toSorted((a, b) => a - b)).toEqual([0, 1, 1, 1, 2, 2, 3, 4]);
    for (const batch of batches) expect(new Set(batch.map((i) => mixed.images[i]?.bucket)).size).toBe(1);
  }
});

test('buckets come in a new order each epoch', () => {
  const orders = Array.from({ length: 10 }, (_, epoch) =>
    epochOf(mixed, epoch)
      .map(([first = 0]) => mixed.images[first]?.bucket)
      .join(),
  );
  expect(new Set(orders).size).toBeGreaterThan(3);
});

test('the last batch of a bucket may be smaller, and a small dataset makes small batches', () => {
  expect(
    epochOf(plan, 0)
      .map((batch) => batch.length)
      .toSorted((a, b) => a - b),
  ).toEqual([1, 2, 2, 2]);
  expect(planBatch({ ...plan, trainBatchSize: 8 }, 3)).toHaveLength(7);
});

test('class images are shown as often as all others together, every one in its turn', () => {
  const withClass = {
    ...plan,
    images: [image('a', 2), image('a'), ...Array.from({ length: 5 }, () => image('a', 1, 1, true))],
  };
  const seen = new Set<number>();
  for (let epoch = 0; epoch < 3; epoch++) {
    const shown = epochOf(withClass, epoch).flat();
    expect(shown.filter((i) => i < 2).toSorted((a, b) => a - b)).toEqual([0, 0, 1]);
    expect(shown.filter((i) => i >= 2)).toHaveLength(3);
    for (const i of shown) seen.add(i);
  }
  expect([...seen].toSorted((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5, 6]);
});

test('timesteps cover the whole schedule evenly; half of the images are flipped', () => {
  const entries = Array.from({ length: 2000 }, (_, batch) => planBatch(plan, batch)).flat();
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

test('a tenth of the captions is dropped, every crop is used, captions draw apart', () => {
  const of = { ...plan, captionDropout: 0.1, images: plan.images.map(() => image('a', 1, 4)) };
  const entries = Array.from({ length: 2000 }, (_, batch) => planBatch(of, batch)).flat();
  const dropped = entries.filter(({ caption }) => caption.dropped).length / entries.length;
  expect(dropped).toBeGreaterThan(0.08);
  expect(dropped).toBeLessThan(0.12);
  for (const crop of [0, 1, 2, 3])
    expect(entries.filter((entry) => entry.crop === crop).length / entries.length).toBeCloseTo(0.25, 1);
  expect(new Set(entries.map(({ caption }) => caption.seed)).size).toBeGreaterThan(entries.length - 5);
  expect(
    Array.from({ length: 50 }, (_, b) => planBatch(plan, b))
      .flat()
      .every(({ caption }) => !caption.dropped),
  ).toBe(true);
});

test.each([
  [0, false],
  [1, true],
])('flip probability %f flips all or none', (flipProbability, flipped) => {
  for (let batch = 0; batch < 20; batch++) {
    for (const entry of planBatch({ ...plan, flipProbability }, batch)) expect(entry.flipped).toBe(flipped);
  }
});

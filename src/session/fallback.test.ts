// Plan: what is given up, in order (memory that only saves time before all else), until nothing is left; the number of pictures a step stays the same all the way.
import { expect, test } from 'vitest';
import { defaultTrainOptions, type TrainOptions } from '../core/trainOptions.ts';
import { cheaper } from './fallback.ts';

/** Without memory that only saves time. */
const spent: TrainOptions = { ...defaultTrainOptions, activationMemory: 0 };

function ladder(trainBatchSize: number, gradientAccumulationSteps = 1): Partial<TrainOptions>[] {
  const steps: Partial<TrainOptions>[] = [];
  let options: TrainOptions = { ...spent, trainBatchSize, gradientAccumulationSteps };
  for (let next = cheaper(options); next !== null; next = cheaper(options)) {
    options = { ...options, ...next.changes };
    expect(options.trainBatchSize * options.gradientAccumulationSteps).toBe(trainBatchSize * gradientAccumulationSteps);
    steps.push(next.changes);
  }
  return steps;
}

test('smaller batches first, then 8-bit weights', () => {
  const memory = [{ weightsPrecision: 'int8' }];
  expect(ladder(1)).toEqual(memory);
  expect(ladder(4, 2)).toEqual([
    { trainBatchSize: 2, gradientAccumulationSteps: 4 },
    { trainBatchSize: 1, gradientAccumulationSteps: 8 },
    ...memory,
  ]);
  expect(ladder(3)).toEqual([{ trainBatchSize: 1, gradientAccumulationSteps: 3 }, ...memory]);
});

test('memory that only saves time before all else', () => {
  expect(cheaper({ ...defaultTrainOptions, activationMemory: 1500 })?.changes).toEqual({ activationMemory: 0 });
});

test('says what it means', () => {
  expect(cheaper({ ...spent, trainBatchSize: 4 })?.words).toBe(
    'batches of 2, the gradients of 2 averaged: the same steps, a little slower',
  );
});

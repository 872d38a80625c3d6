// Plan: images of a dataset as an epoch shows them, class images behind; epochs as steps; the batches of accumulated steps, none of which goes over the end of an epoch.
import { expect, test } from 'vitest';
import { batchesOfStep, batchesPerEpoch, planImages, resolveTrainSteps, stepsPerEpoch } from './epochs.ts';
import { defaultTrainOptions, type TrainOptions } from './trainOptions.ts';

const options: TrainOptions = {
  ...defaultTrainOptions,
  buckets: { ...defaultTrainOptions.buckets, enabled: true },
  repeats: 2,
};
const images = [
  { width: 512, height: 512, repeats: null },
  { width: 640, height: 480, repeats: 5 },
];

test('images with their buckets and repeats, then class images, which are squares', () => {
  const priorPreservation = { enabled: true, weight: 1, classPrompt: 'a dog', classImages: 2 };
  expect(planImages(images, { ...options, priorPreservation })).toEqual([
    { bucket: '512x512', repeats: 2, crops: 1, isClass: false },
    { bucket: '576x448', repeats: 5, crops: 1, isClass: false },
    { bucket: '512x512', repeats: 1, crops: 1, isClass: true },
    { bucket: '512x512', repeats: 1, crops: 1, isClass: true },
  ]);
});

test('epochs become steps, each rounded up by itself', () => {
  const planned = planImages(images, options);
  expect(batchesPerEpoch({ images: planned, trainBatchSize: 2 })).toBe(1 + 3);
  const steps = (changes: Partial<TrainOptions>): number =>
    resolveTrainSteps({ ...options, ...changes }, planned).maxTrainSteps;
  expect(steps({ maxTrainEpochs: 3 })).toBe(12);
  // kohya: epochs * ceil(batches / accumulation).
  expect(steps({ maxTrainEpochs: 3, gradientAccumulationSteps: 3 })).toBe(3 * 2);
  expect(steps({ maxTrainEpochs: 3, gradientAccumulationSteps: 5 })).toBe(3);
  expect(steps({ maxTrainEpochs: null, maxTrainSteps: 600 })).toBe(600);
});

test('a step’s batches are of one epoch, and every batch is of one step', () => {
  const plan = { images: planImages(images, options), trainBatchSize: 2 };
  const batchesOf = (accumulation: number, steps: number): number[][] =>
    Array.from({ length: steps }, (_, step) => batchesOfStep(plan, accumulation, step));
  expect(batchesOf(1, 3)).toEqual([[0], [1], [2]]);
  expect(batchesOf(3, 5)).toEqual([[0, 1, 2], [3], [4, 5, 6], [7], [8, 9, 10]]);
  expect(batchesOf(9, 2)).toEqual([
    [0, 1, 2, 3],
    [4, 5, 6, 7],
  ]);
  expect([1, 3, 4, 9].map((accumulation) => stepsPerEpoch(plan, accumulation))).toEqual([4, 2, 1, 1]);
});

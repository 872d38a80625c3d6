// Plan: images of a dataset as an epoch shows them, class images behind; epochs as steps, accumulation over their borders.
import { expect, test } from 'vitest';
import { batchesPerEpoch, planImages, resolveTrainSteps } from './epochs.ts';
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

test('epochs become steps, accumulation over their borders', () => {
  const planned = planImages(images, options);
  expect(batchesPerEpoch({ images: planned, trainBatchSize: 2 })).toBe(1 + 3);
  const steps = (changes: Partial<TrainOptions>): number =>
    resolveTrainSteps({ ...options, ...changes }, planned).maxTrainSteps;
  expect(steps({ maxTrainEpochs: 3 })).toBe(12);
  expect(steps({ maxTrainEpochs: 3, gradientAccumulationSteps: 5 })).toBe(3);
  expect(steps({ maxTrainEpochs: null, maxTrainSteps: 600 })).toBe(600);
});

// Plan: time with samples and validations, disk with checkpoints; what is proposed where the GPU or the disk has no room, and that nothing is where both have.
import { expect, test } from 'vitest';
import { defaultTrainOptions, type TrainOptions } from '../core/trainOptions.ts';
import { needsInWords, preflightReport, type Trial, trialSample } from './preflight.ts';

const options: TrainOptions = {
  ...defaultTrainOptions,
  maxTrainSteps: 600,
  trainBatchSize: 2,
  rank: 8,
  alpha: 8,
  resolution: 512,
  sampleEvery: 100,
  samplePrompts: [{ prompt: 'a', seed: 1 }],
  sampleInferenceSteps: 20,
  checkpoints: { everySteps: 100, keep: 3 },
};

const trial: Trial = { msPerStep: 500, gpuPeakBytes: 2.4e9, stateBytes: 9e6, adapterBytes: 3e6 };

test('says how long it takes and what it takes up', () => {
  const report = preflightReport({ options, trial, gpuProblem: null, heldOut: 0, diskFreeBytes: 1e9 });
  expect(report).toMatchObject({
    msPerStep: 500,
    gpuPeakBytes: 2.4e9,
    checkpointBytes: 12e6,
    problem: null,
    proposals: [],
  });
  // 600 steps, and 7 rows of 20 guided image steps at 0.31 of a half of a step each.
  expect(report.seconds).toBeCloseTo(0.5 * (600 + (7 * 20 * 2 * 0.31) / 2));
  expect(report.diskBytes).toBe(6 * 12e6 + 3e6 + 7 * 512 * 512 * 3);
  expect(needsInWords(report)).toBe(
    'Two trial steps: needs 2.4 GB on the GPU, at most 80.5 MB of storage, and about 5 min at 500 ms a step.',
  );
  const byEpochs = preflightReport({
    options: { ...options, sampleEvery: 0, sampleEveryEpochs: 2, maxTrainEpochs: 12 },
    trial,
    gpuProblem: null,
    heldOut: 0,
    diskFreeBytes: 1e9,
  });
  expect(byEpochs.seconds).toBe(report.seconds);
  const unwatched = preflightReport({
    options: { ...options, samplePrompts: [], checkpoints: { everySteps: 0, keep: 3 } },
    trial,
    gpuProblem: null,
    heldOut: 0,
    diskFreeBytes: null,
  });
  expect([unwatched.seconds, unwatched.diskBytes]).toEqual([300, 3 * 12e6 + 3e6]);
  const validated = preflightReport({
    options: { ...options, samplePrompts: [], validation: { ...options.validation, everySteps: 250 } },
    trial,
    gpuProblem: null,
    heldOut: 4,
    diskFreeBytes: null,
  });
  // Before the first step, after 250, 500 and 600: 4 images at 5 timesteps.
  expect(validated.seconds).toBeCloseTo(0.5 * (600 + (4 * 4 * 5 * 0.31) / 2));
});

test('where the GPU has no room: smaller batches, smaller pictures, a smaller adapter', () => {
  const report = preflightReport({
    options,
    trial: null,
    gpuProblem: 'The GPU ran out of memory.',
    heldOut: 0,
    diskFreeBytes: 1e9,
  });
  expect(report).toMatchObject({ gpuPeakBytes: null, problem: 'The GPU ran out of memory.' });
  expect(report.proposals).toEqual([
    {
      label: 'Train with no memory spent on speed: the same result, a little slower',
      changes: { activationMemory: 0 },
    },
    { label: 'Train at 384 px', changes: { resolution: 384 } },
    { label: 'Train a LoRA of rank 4', changes: { rank: 4, alpha: 4 } },
  ]);
  const without = { ...options, activationMemory: 0 };
  expect(
    preflightReport({
      options: without,
      trial: null,
      gpuProblem: 'The GPU ran out of memory.',
      heldOut: 0,
      diskFreeBytes: 1e9,
    }).proposals,
  ).toEqual([
    {
      label: 'Train with batches of 1, the gradients of 2 averaged: the same steps, a little slower',
      changes: { trainBatchSize: 1, gradientAccumulationSteps: 2 },
    },
    { label: 'Train at 384 px', changes: { resolution: 384 } },
    { label: 'Train a LoRA of rank 4', changes: { rank: 4, alpha: 4 } },
  ]);
});

test('what sizes rule out is not proposed, but what comes after it', () => {
  const fits = ({ trainBatchSize, resolution }: TrainOptions): boolean => trainBatchSize * resolution ** 2 < 3e5;
  const report = preflightReport({
    options: { ...options, trainBatchSize: 8, resolution: 768 },
    trial: null,
    gpuProblem: 'A step needs more.',
    fits,
    heldOut: 0,
    diskFreeBytes: 1e9,
  });
  expect(report.proposals.map(({ changes }) => changes)).toEqual([{ resolution: 192 }]);
  const few = { ...options, trainBatchSize: 8 };
  const smaller = preflightReport({ options: few, trial: null, gpuProblem: '', fits, heldOut: 0, diskFreeBytes: 1e9 });
  expect(smaller.proposals.map(({ changes }) => changes)).toEqual([
    { activationMemory: 0, trainBatchSize: 1, gradientAccumulationSteps: 8 },
    { resolution: 192 },
  ]);
});

test('where the disk has no room: fewer checkpoints, fewer samples', () => {
  const report = preflightReport({ options, trial, gpuProblem: null, heldOut: 0, diskFreeBytes: 1e6 });
  expect(report.problem).toBe('There is no room in this browser’s storage for what the run is to keep.');
  expect(report.proposals.map(({ changes }) => changes)).toEqual([
    { checkpoints: { everySteps: 0, keep: 3 } },
    { sampleEvery: 200 },
  ]);
});

test('tries the largest sample, in one step', () => {
  const samplePrompts = [
    { prompt: 'a', seed: 1 },
    { prompt: 'b', seed: 2, width: 768, numInferenceSteps: 30 },
    { prompt: 'c', seed: 3, height: 256 },
  ];
  expect(trialSample({ ...options, samplePrompts })).toEqual({
    prompt: 'b',
    seed: 2,
    width: 768,
    numInferenceSteps: 1,
  });
  expect(trialSample({ ...options, samplePrompts: [] })).toBeNull();
  expect(trialSample({ ...options, samplePrompts, sampleEvery: 0 })).toBeNull();
});

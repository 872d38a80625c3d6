// Plan: the form begins with the newest step and half the rate, longer where the run is at its end; it is read, or says what is wrong.
import { expect, test } from 'vitest';
import { defaultTrainOptions } from '../core/trainOptions.ts';
import { initialBranchForm, readBranchForm } from './branchForm.ts';

const run = { id: 'r', name: 'cat', options: { ...defaultTrainOptions, maxTrainSteps: 600, learningRate: 1e-4 } };
const at = (globalStep: number) => ({ globalStep, bytes: 1, savedAt: 1 });

test('begins at the newest step with half the rate', () => {
  expect(initialBranchForm(run, [at(0), at(300)])).toEqual({
    name: 'cat branch',
    globalStep: '300',
    learningRate: '5e-5',
    maxTrainSteps: '600',
  });
  expect(initialBranchForm(run, [at(550), at(600)]).maxTrainSteps).toBe('900');
});

test('is a request with all other options of its parent', () => {
  const form = { ...initialBranchForm(run, [at(300)]), name: ' slower ', learningRate: '2e-5', maxTrainSteps: '400' };
  expect(readBranchForm(form, run)).toEqual({
    request: {
      runId: 'r',
      globalStep: 300,
      name: 'slower',
      options: { ...run.options, learningRate: 2e-5, maxTrainSteps: 400 },
    },
    errors: {},
  });
});

test('says what is wrong', () => {
  const form = { name: '', globalStep: '300', learningRate: 'fast', maxTrainSteps: '300' };
  expect(readBranchForm(form, run)).toEqual({
    request: null,
    errors: {
      name: 'Give the branch a name.',
      learningRate: 'Learning rate needs a number.',
      maxTrainSteps: 'Steps goes from 301 to 1000000.',
    },
  });
});

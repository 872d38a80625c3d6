// Plan: an adapter of the demo model does not pass for one of SD 1.5.
import { expect, test } from 'vitest';
import { trainingMetadata, type TrainingFacts } from './metadata.ts';

const facts: TrainingFacts = {
  name: 'mine',
  modelName: 'a/model',
  triggerWord: '',
  captions: ['a cat'],
  startedAt: 0,
  finishedAt: 1000,
  globalStep: 1,
  maxTrainSteps: 1,
  resolution: 64,
  rank: 4,
  alpha: 4,
  learningRate: 1e-4,
  trainBatchSize: 1,
  seed: 42,
  flipProbability: 0,
};

test.each([
  ['runwayml/stable-diffusion-v1-5', 'sd_v1', 'stable-diffusion-v1/lora'],
  ['loratory-demo', 'loratory-demo', 'loratory-demo/lora'],
])('%s is named as what it is', (modelName, version, architecture) => {
  expect(trainingMetadata([], { ...facts, modelName })).toMatchObject({
    ss_sd_model_name: modelName,
    ss_base_model_version: version,
    'modelspec.architecture': architecture,
  });
});

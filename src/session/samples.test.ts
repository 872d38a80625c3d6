import { expect, test } from 'vitest';
import { defaultTrainOptions } from '../core/trainOptions.ts';
import { sampleSettings, sampleTexts } from './samples.ts';

const options = {
  ...defaultTrainOptions,
  sampleNegativePrompt: 'blurry',
  samplePrompts: [
    { prompt: 'a cat', seed: 1 },
    { prompt: 'a dog', seed: 2, negativePrompt: '', width: 256, guidanceScale: 3 },
  ],
};

test('what a sample prompt does not say comes from the options', () => {
  expect(options.samplePrompts.map((sample) => sampleSettings(sample, options))).toEqual([
    {
      prompt: 'a cat',
      seed: 1,
      negativePrompt: 'blurry',
      width: 512,
      height: 512,
      numInferenceSteps: 20,
      guidanceScale: 7.5,
    },
    { prompt: 'a dog', seed: 2, negativePrompt: '', width: 256, height: 512, numInferenceSteps: 20, guidanceScale: 3 },
  ]);
});

test('negative prompts are read too', () => {
  expect(sampleTexts(options)).toEqual(['a cat', 'blurry', 'a dog', '']);
});

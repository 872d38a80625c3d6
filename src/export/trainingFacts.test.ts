import { expect, test } from 'vitest';
import { defaultOptimizer, defaultTrainOptions } from '../core/trainOptions.ts';
import { trainingFactsOf } from './trainingFacts.ts';

test('options in kohya’s words', () => {
  const facts = trainingFactsOf({
    ...defaultTrainOptions,
    lrScheduler: { name: 'cosineWithRestarts', warmupSteps: 10, cycles: 3, power: 1 },
    minSnrGamma: 5,
    textEncoder: { train: true, learningRate: 5e-5 },
  });
  expect(facts).toMatchObject({
    rank: 4,
    lrScheduler: 'cosine_with_restarts',
    lrWarmupSteps: 10,
    minSnrGamma: 5,
    textEncoderLearningRate: 5e-5,
    maxGradNorm: 1,
    optimizer: 'torch.optim.adamw.AdamW(weight_decay=0.01,betas=(0.9, 0.999),eps=1e-08)',
  });
  expect(facts).not.toHaveProperty('noiseOffset');
  expect(facts).toMatchObject({ mixedPrecision: 'no' });
  expect(trainingFactsOf({ ...defaultTrainOptions, mixedPrecision: 'fp16' })).toMatchObject({ mixedPrecision: 'fp16' });
});

test.each([
  ['adamw8bit', 'bitsandbytes.optim.adamw.AdamW8bit(weight_decay=0.01,betas=(0.9, 0.999),eps=1e-08)'],
  ['lion', 'lion_pytorch.lion_pytorch.Lion(weight_decay=0.1,betas=(0.9, 0.99))'],
  [
    'prodigy',
    'prodigyopt.prodigy.Prodigy(weight_decay=0.01,betas=(0.9, 0.999),eps=1e-08,d0=1e-06,d_coef=1.0,use_bias_correction=False,safeguard_warmup=False)',
  ],
  ['adafactor', 'transformers.optimization.Adafactor(weight_decay=0.0,scale_parameter=False,relative_step=False)'],
] as const)('%s', (name, text) => {
  expect(trainingFactsOf({ ...defaultTrainOptions, optimizer: defaultOptimizer(name) }).optimizer).toBe(text);
});

// Plan: the defaults keep every rule and survive JSON; older and damaged records are completed; each kind of mistake is explained in
// one sentence with its remedy; rules between options; steps from epochs.
import { describe, expect, test } from 'vitest';
import { checkTrainOptions } from './checkTrainOptions.ts';
import { defaultOptimizer, defaultTrainOptions, type TrainOptions } from './trainOptions.ts';
import { completeTrainOptions } from './trainOptionsJson.ts';

const messages = (changes: Partial<TrainOptions>, context = {}): string[] =>
  checkTrainOptions({ ...defaultTrainOptions, ...changes }, context).map(({ message }) => message);

describe('completeTrainOptions', () => {
  test('gives the defaults for nothing, and options back as they were from JSON', () => {
    for (const json of [undefined, null, 3, 'text', [], {}])
      expect(completeTrainOptions(json)).toEqual(defaultTrainOptions);
    const options: TrainOptions = {
      ...defaultTrainOptions,
      rank: 16,
      emaDecay: 0.99,
      optimizer: { ...defaultOptimizer('lion'), beta2: 0.95 },
      blockLearningRates: { 'up_blocks.1': 0.5 },
      validation: { ...defaultTrainOptions.validation, timesteps: [5] },
      samplePrompts: [
        { prompt: 'a', seed: 1, negativePrompt: 'b', width: 64, height: 32, numInferenceSteps: 3, guidanceScale: 2 },
      ],
    };
    expect(completeTrainOptions(JSON.parse(JSON.stringify(options)))).toEqual(options);
  });

  test('completes a record of the first version', () => {
    const old = { resolution: 64, rank: 8, alpha: 4, samplePrompts: [{ prompt: 'sks', seed: 7 }], sampleEvery: 50 };
    expect(completeTrainOptions(old)).toEqual({ ...defaultTrainOptions, ...old });
  });

  test('drops what is of the wrong kind, and what it does not know', () => {
    const damaged = {
      rank: '8',
      alpha: null,
      optimizer: { name: 'sgd', beta1: Infinity, weightDecay: 0.5 },
      dropout: 3,
      maxTrainEpochs: null,
      minSnrGamma: 5,
      blockLearningRates: { mid_block: 'much', 'up_blocks.0': 2 },
      validation: { timesteps: [1, 'x', 2] },
      samplePrompts: [7, { seed: 1 }, { prompt: 'p', width: '64' }],
      __proto__: { rank: 99 },
      unknown: 1,
    };
    expect(completeTrainOptions(damaged)).toEqual({
      ...defaultTrainOptions,
      optimizer: { ...defaultTrainOptions.optimizer, weightDecay: 0.5 },
      minSnrGamma: 5,
      blockLearningRates: { 'up_blocks.0': 2 },
      validation: { ...defaultTrainOptions.validation, timesteps: [1, 2] },
      samplePrompts: [{ prompt: 'p', seed: 0 }],
    });
  });
});

describe('checkTrainOptions', () => {
  test('finds nothing in the defaults, with any optimizer', () => {
    for (const name of ['adamw', 'adamw8bit', 'lion', 'prodigy', 'adafactor'] as const) {
      expect(messages({ optimizer: defaultOptimizer(name) }, { imageSize: 512, sizeUnit: 8, imageCount: 3 })).toEqual(
        [],
      );
    }
  });

  test('names value, rule and remedy', () => {
    expect(checkTrainOptions({ ...defaultTrainOptions, rank: 0.5 })).toEqual([
      {
        option: 'rank',
        value: 0.5,
        rule: 'it must be a whole number from 1 to 320',
        message: 'Rank is 0.5, but it must be a whole number from 1 to 320.',
        remedy: 'Change rank and start again.',
      },
    ]);
  });

  test.each<[Partial<TrainOptions>, object, string]>([
    [{ alpha: 0 }, {}, 'Alpha is 0, but it must be a number above 0 and at most 1024.'],
    [{ learningRate: NaN }, {}, 'Learning rate is NaN, but it must be a number above 0 and at most 10.'],
    [{ emaDecay: 1 }, {}, 'EMA decay is 1, but it must be a number above 0 and below 1, or nothing (off).'],
    [
      { minSnrGamma: -1 },
      {},
      'Min-SNR gamma is -1, but it must be a number above 0 and at most 100, or nothing (off).',
    ],
    [
      { dropout: { network: 1, rank: 0, module: 0 } },
      {},
      'Network dropout is 1, but it must be a number from 0 and below 1.',
    ],
    [{ adapterKind: 'loha' as 'lora' }, {}, 'Adapter is “loha”, but it must be one of lora, dora.'],
    [{ randomCrop: 1 as unknown as boolean }, {}, 'Random crop is 1, but it must be true or false.'],
    [
      { seed: undefined as unknown as number },
      {},
      'Seed is missing, but it must be a whole number from 0 to 4294967295.',
    ],
    [
      { blockLearningRates: { mid_block: -1 } },
      {},
      'The learning rate factor of mid_block is -1, but it must be a number from 0 to 100.',
    ],
    [
      { validation: { ...defaultTrainOptions.validation, timesteps: [1000] } },
      {},
      'Validation timesteps are [1000], but they must be 1 to 32 whole numbers from 0 to 999.',
    ],
    [
      { samplePrompts: [{ prompt: '', seed: 1, guidanceScale: -2 }] },
      {},
      'guidanceScale of sample prompt 1 is -2, but it must be a number from 0 to 100.',
    ],
    [
      { targets: { attention: false, feedForward: false, projections: false, convolutions: false } },
      {},
      'Attention is false, but something must learn.',
    ],
    [
      { learningRate: 1 },
      {},
      'Learning rate is 1, but above 0.1 only Prodigy, which multiplies a rate of its own, learns.',
    ],
    [
      {
        learningRate: 1,
        optimizer: defaultOptimizer('prodigy'),
        textEncoder: { train: true, learningRate: 5e-5 },
      },
      {},
      'Text encoder learning rate is 0.00005, but with Prodigy it multiplies the rate that is found, as the learning rate 1 does.',
    ],
    [
      { lrScheduler: { ...defaultTrainOptions.lrScheduler, name: 'cosine', warmupSteps: 2.5 } },
      {},
      'Warm-up steps is 2.5, but it must be a whole number from 0 to 1000000, or a share below 1.',
    ],
    [
      { lrScheduler: { ...defaultTrainOptions.lrScheduler, name: 'cosine', warmupSteps: 600 } },
      {},
      'Warm-up steps is 600, but the run has 600 steps.',
    ],
    [
      { priorPreservation: { ...defaultTrainOptions.priorPreservation, enabled: true } },
      {},
      'Class prompt is “”, but prior preservation needs one.',
    ],
    [{ resolution: 100 }, { sizeUnit: 8 }, 'Resolution is 100, but this model needs a multiple of 8.'],
    [{ resolution: 776 }, { imageSize: 512 }, 'Resolution is 776, but this model, made for 512 px, does at most 768.'],
    [
      { buckets: { ...defaultTrainOptions.buckets, enabled: true, minSide: 576 } },
      {},
      'Shortest side of a bucket is 576, but the resolution is 512.',
    ],
    [
      { samplePrompts: [{ prompt: '', seed: 1, width: 100 }] },
      { sizeUnit: 8 },
      'width of sample prompt 1 is 100, but this model needs a multiple of 8.',
    ],
    [
      { validation: { ...defaultTrainOptions.validation, count: 4 } },
      { imageCount: 4 },
      'Validation images is 4, but there are 4 images, and at least one must be trained on.',
    ],
    [
      { mixedPrecision: 'fp16' },
      { halfPrecision: false },
      'Mixed precision is “fp16”, but this GPU, or this browser on it, cannot compute in 16 bits.',
    ],
  ])('%j with %j: %s', (changes, context, said) => expect(messages(changes, context)).toEqual([said]));

  test('asks for 16 bits only where there are any, or nobody knows', () => {
    expect(messages({ mixedPrecision: 'fp16' }, { halfPrecision: true })).toEqual([]);
    expect(messages({ mixedPrecision: 'fp16' })).toEqual([]);
  });

  test('says all at once', () => {
    expect(messages({ rank: 0, repeats: 0 })).toHaveLength(2);
  });
});

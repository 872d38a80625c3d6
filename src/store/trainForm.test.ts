// Plan: the form and the options are two ways to say the same, there and back; each preset stands in it whole; numbers that cannot be
// trained with are explained field by field; what depends on another field follows it.
import { describe, expect, it, test } from 'vitest';
import { presets } from '../core/presets.ts';
import { defaultOptimizer, defaultTrainOptions, type TrainOptions } from '../core/trainOptions.ts';
import {
  changedFields,
  consequences,
  explainNumber,
  formOf,
  initialTrainForm,
  matchingPreset,
  presetTexts,
  readableOptions,
  readTrainForm,
  resolutionRule,
  ruleOfField,
  type TrainForm,
} from './trainForm.ts';

const everything: TrainOptions = {
  ...defaultTrainOptions,
  adapterKind: 'dora',
  learningRate: 3e-7,
  dropout: { network: 0.1, rank: 0.25, module: 0.5 },
  targets: { attention: false, feedForward: true, projections: true, convolutions: true },
  textEncoder: { train: true, learningRate: 1e-5 },
  blockLearningRates: { mid_block: 0.5, 'up_blocks.1': 2 },
  optimizer: { ...defaultOptimizer('prodigy'), safeguardWarmup: true },
  lrScheduler: { name: 'polynomial', warmupSteps: 5, cycles: 0.5, power: 1.5 },
  maxTrainEpochs: 3,
  emaDecay: 0.999,
  flipProbability: 0.07,
  captionDropout: 0.125,
  minSnrGamma: 5,
  predictionType: 'v_prediction',
  validation: { split: 0.15, count: 0, everySteps: 50, timesteps: [1, 999], seed: 3 },
  sampleNegativePrompt: 'blurry',
  weightsPrecision: 'int8',
};

describe('form and options', () => {
  it.each([...Object.entries(presets), ['everything', everything] as const])('%s, there and back', (_, options) => {
    const read = readTrainForm(formOf(options), []);
    expect(read.errors).toEqual({});
    expect(read.options).toEqual({ ...options, samplePrompts: [] });
  });

  it('leaves out prompts without text', () => {
    const prompts = [
      { prompt: ' ', seed: 1 },
      { prompt: 'a cat', seed: 2 },
    ];
    expect(readTrainForm(initialTrainForm, prompts).options?.samplePrompts).toEqual([prompts[1]]);
  });

  it('shows percents as percents, small numbers with an exponent, nothing as nothing', () => {
    expect(formOf(everything)).toMatchObject({
      flipProbability: '7',
      captionDropout: '12.5',
      'validation.split': '15',
      learningRate: '3e-7',
      minSnrGamma: '5',
      blockLearningRates: 'mid_block=0.5, up_blocks.1=2',
      'validation.timesteps': '1, 999',
    });
    expect(formOf(defaultTrainOptions)).toMatchObject({ minSnrGamma: '', emaDecay: '', predictionType: '' });
  });
});

describe('presets', () => {
  const matching = (form: TrainForm) => matchingPreset(form, ['style', 'character', 'demoStyle', 'demoCharacter']);

  it('are the recipes of the report', () => {
    expect(readTrainForm(presetTexts('style'), []).options).toMatchObject({
      rank: 4,
      alpha: 4,
      maxTrainSteps: 600,
      learningRate: 1e-4,
      trainBatchSize: 2,
      seed: 42,
      flipProbability: 0.5,
      optimizer: { name: 'adamw', beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0.01 },
    });
    expect(readTrainForm(presetTexts('character'), []).options).toMatchObject({
      rank: 8,
      alpha: 4,
      maxTrainSteps: 250,
    });
  });

  it('are recognised until something that is learnt changes', () => {
    expect(matching(initialTrainForm)).toBe('style');
    expect(matching(presetTexts('character'))).toBe('character');
    expect(matching(presetTexts('demoStyle'))).toBe('demoStyle');
    expect(matching({ ...initialTrainForm, sampleEvery: '10', resolution: '256' })).toBe('style');
    expect(matching({ ...initialTrainForm, learningRate: '0.0001' })).toBe('style');
    expect(matching({ ...initialTrainForm, shuffleTags: 'true' })).toBeNull();
  });

  it('differ from each other where they do', () => {
    expect(changedFields(presetTexts('character'), presetTexts('style'))).toEqual(['rank', 'maxTrainSteps']);
  });
});

describe('errors', () => {
  const errorsOf = (values: Partial<TrainForm>, context?: Parameters<typeof readTrainForm>[2]) =>
    readTrainForm({ ...initialTrainForm, ...values }, [], context).errors;

  it('name the field and say what is wanted', () => {
    expect(
      errorsOf({ rank: '2.5', alpha: '', trainBatchSize: '65', 'optimizer.beta1': '1', flipProbability: '120' }),
    ).toEqual({
      rank: 'Rank needs a whole number.',
      alpha: 'Alpha needs a number.',
      trainBatchSize: 'Batch size goes from 1 to 64.',
      'optimizer.beta1': 'Beta 1 must be at least 0 and below 1.',
      flipProbability: 'Flip goes from 0 to 100.',
    });
    expect(readTrainForm({ ...initialTrainForm, rank: 'x' }, []).options).toBeNull();
  });

  it('explain lists', () => {
    expect(errorsOf({ blockLearningRates: 'mid_block', 'validation.timesteps': '5, 1000' })).toEqual({
      blockLearningRates: '“mid_block” is no block with a factor: write, for instance, mid_block=0.5, up_blocks.1=2.',
      'validation.timesteps': 'Validation timesteps are whole numbers from 0 to 999, with commas between them.',
    });
  });

  it('explain what does not go together', () => {
    expect(errorsOf({ 'targets.attention': 'false' })).toEqual({
      'targets.attention':
        'Attention is false, but something must learn. Choose at least one kind of layer, or train the text encoder.',
    });
    expect(errorsOf({ 'lrScheduler.name': 'cosine', 'lrScheduler.warmupSteps': '0.1' })).toEqual({});
    expect(errorsOf({ 'lrScheduler.name': 'cosine', 'lrScheduler.warmupSteps': '2.5' })).toEqual({
      'lrScheduler.warmupSteps': 'Warm-up steps needs a whole number, or a share below 1.',
    });
    expect(errorsOf({ 'lrScheduler.name': 'cosine', 'lrScheduler.warmupSteps': '600' })).toEqual({
      'lrScheduler.warmupSteps':
        'Warm-up steps is 600, but the run has 600 steps. Warm up for about a tenth of the steps.',
    });
    expect(errorsOf({ 'validation.count': '3' }, { imageSize: 512, imageCount: 3 })['validation.count']).toContain(
      'there are 3 images',
    );
  });

  it('are about sample prompts too', () => {
    const prompts = [{ prompt: 'a cat', seed: 1, width: 100 }];
    expect(readTrainForm(initialTrainForm, prompts, { imageSize: 512, sizeUnit: 8 }).errors.samplePrompts).toBe(
      'width of sample prompt 1 is 100, but this model needs a multiple of 8.',
    );
  });

  it('hold the resolution to what the model knows', () => {
    const sized = (resolution: string, imageSize: number) => errorsOf({ resolution }, { imageSize }).resolution;
    expect(sized('64', 64)).toBeUndefined();
    expect(sized('128', 64)).toBe('Resolution must be 64.');
    expect(sized('192', 128)).toBeUndefined();
    expect(sized('256', 128)).toMatch(/^Resolution goes from 64 to 192/);
    expect(resolutionRule(512)).toEqual(ruleOfField('resolution'));
  });

  it.each([
    ['0x', 'seed', 'Seed needs a number.'],
    ['1.5', 'maxTrainSteps', 'Steps needs a whole number.'],
    ['0', 'learningRate', 'Learning rate must be above 0 and at most 10.'],
    ['1e-4', 'learningRate', null],
    ['0', 'sampleEvery', null],
    ['-1', 'sampleEvery', 'Sample every goes from 0 to 1000000. 0 means never.'],
    ['64', 'resolution', null],
    ['832', 'resolution', 'Resolution goes from 64 to 768. The model works in blocks of 64 pixels.'],
  ] as const)('%s in %s -> %s', (text, field, said) => {
    const rule = ruleOfField(field);
    expect(rule === null ? null : explainNumber(text, rule)).toBe(said);
  });
});

test('fields that are wrong count as their defaults where a picture is wanted', () => {
  expect(readableOptions({ ...initialTrainForm, rank: 'x', maxTrainSteps: '7' }, 512)).toMatchObject({
    rank: defaultTrainOptions.rank,
    maxTrainSteps: 7,
  });
});

test('buckets that were meant for another resolution follow it; those that somebody chose stay', () => {
  const small = { ...initialTrainForm, resolution: '64' };
  expect(consequences(small, 'buckets.enabled', 'true')).toEqual({
    'buckets.minSide': '32',
    'buckets.maxSide': '128',
    'buckets.step': '8',
  });
  expect(consequences(initialTrainForm, 'buckets.enabled', 'true')).toEqual({});
  expect(consequences(small, 'buckets.enabled', 'false')).toEqual({});
});

test('another optimizer brings its numbers, and its rate where nobody chose one', () => {
  const lion = consequences(initialTrainForm, 'optimizer.name', 'lion');
  expect(lion).toMatchObject({ 'optimizer.beta2': '0.99', 'optimizer.weightDecay': '0.1', learningRate: '1e-5' });
  const chosen = { ...initialTrainForm, learningRate: '2e-4' };
  expect(consequences(chosen, 'optimizer.name', 'prodigy').learningRate).toBeUndefined();
  // Of Prodigy's rate, 5e-5 would be next to nothing; of AdamW's, 1 far too much.
  const prodigy = { ...initialTrainForm, ...consequences(initialTrainForm, 'optimizer.name', 'prodigy') };
  expect(prodigy).toMatchObject({ learningRate: '1', 'textEncoder.learningRate': '1' });
  const back = consequences({ ...prodigy, 'optimizer.name': 'prodigy' }, 'optimizer.name', 'adamw');
  expect(back).toMatchObject({ learningRate: '1e-4', 'textEncoder.learningRate': '5e-5' });
  expect(consequences(initialTrainForm, 'lrScheduler.name', 'cosineWithRestarts')).toEqual({
    'lrScheduler.cycles': '1',
  });
  expect(consequences(initialTrainForm, 'rank', '5')).toEqual({});
});

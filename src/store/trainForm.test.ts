import { describe, expect, it } from 'vitest';
import {
  explainNumber,
  initialTrainForm,
  matchingPreset,
  presetTexts,
  readTrainForm,
  resolutionRule,
  trainRules,
  type TrainForm,
} from './trainForm.ts';

const prompts = [
  { prompt: 'sks', seed: 1 },
  { prompt: '  ', seed: 2 },
];

describe('presets', () => {
  it('are the documented ones, and valid', () => {
    const style = readTrainForm({ ...initialTrainForm, ...presetTexts('style') }, []).options;
    const character = readTrainForm({ ...initialTrainForm, ...presetTexts('character') }, []).options;
    const common = { learningRate: 1e-4, trainBatchSize: 2, seed: 42, flipProbability: 0.5, resolution: 512 };
    expect(style).toMatchObject({ ...common, rank: 4, alpha: 4, maxTrainSteps: 600 });
    expect(character).toMatchObject({ ...common, rank: 8, alpha: 4, maxTrainSteps: 250 });
  });

  it('are recognised until one of their values is changed', () => {
    const matching = (changes: Partial<TrainForm>) =>
      matchingPreset({ ...initialTrainForm, ...changes }, ['style', 'character', 'demoStyle']);
    expect(matching({})).toBe('style');
    expect(matching(presetTexts('character'))).toBe('character');
    expect(matching(presetTexts('demoStyle'))).toBe('demoStyle');
    expect(matching({ resolution: '256', sampleEvery: '7' })).toBe('style');
    expect(matching({ rank: '5' })).toBeNull();
    expect(matchingPreset(initialTrainForm, ['demoStyle'])).toBeNull();
  });
});

describe('readTrainForm', () => {
  it('leaves out prompts without text', () => {
    expect(readTrainForm(initialTrainForm, prompts).options?.samplePrompts).toEqual([{ prompt: 'sks', seed: 1 }]);
  });

  it('explains every wrong field and then gives no options', () => {
    const { options, errors } = readTrainForm(
      { ...initialTrainForm, resolution: '500', rank: '', trainBatchSize: '9' },
      [],
    );
    expect(options).toBeNull();
    expect(errors).toEqual({
      resolution: 'Resolution must be a multiple of 64. The model works in blocks of 64 pixels.',
      rank: 'Rank needs a number.',
      trainBatchSize: 'Batch size goes from 1 to 8.',
    });
  });

  it('holds the resolution to what the model knows', () => {
    const sized = (resolution: string, imageSize: number) =>
      readTrainForm({ ...initialTrainForm, resolution }, [], imageSize).errors.resolution;
    expect(sized('64', 64)).toBeUndefined();
    expect(sized('128', 64)).toBe('Resolution must be 64.');
    expect(sized('192', 128)).toBeUndefined();
    expect(sized('256', 128)).toMatch(/^Resolution goes from 64 to 192/);
    expect(resolutionRule(512)).toEqual(trainRules.resolution);
  });

  it.each([
    ['0x', trainRules.seed, 'Seed needs a number.'],
    ['1.5', trainRules.maxTrainSteps, 'Steps needs a whole number.'],
    [
      '1',
      trainRules.learningRate,
      'Learning rate goes from 1e-7 to 0.01. Higher ones tear the model apart, lower ones teach it nothing.',
    ],
    ['1e-4', trainRules.learningRate, null],
    ['0', trainRules.sampleEvery, null],
    ['64', trainRules.resolution, null],
    ['832', trainRules.resolution, 'Resolution goes from 64 to 768. The model works in blocks of 64 pixels.'],
  ])('%s under %o -> %s', (text, rule, said) => expect(explainNumber(text, rule)).toBe(said));
});

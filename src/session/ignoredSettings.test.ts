// Plan: ours are all understood; of A1111's, samplers, schedules and extensions that are unknown here are named.
import { expect, test } from 'vitest';
import { parseParameters } from '../formats/pngParameters.ts';
import { ignoredSettings } from './ignoredSettings.ts';

test('nothing of a plain picture', () => {
  const text =
    'a cat\nSteps: 20, Sampler: Euler a, Schedule type: Automatic, CFG scale: 7, Seed: 1, Size: 512x512, Model: v1-5';
  expect(ignoredSettings(parseParameters(text))).toEqual([]);
});

test('samplers, schedules and extensions that are not known', () => {
  const text =
    'a cat\nSteps: 20, Sampler: DPM++ SDE, Schedule type: Exponential, CFG scale: 7, Seed: 1, ADetailer model: "face, hand"';
  expect(ignoredSettings(parseParameters(text))).toEqual([
    ['Sampler', 'DPM++ SDE'],
    ['Schedule type', 'Exponential'],
    ['ADetailer model', 'face, hand'],
  ]);
});

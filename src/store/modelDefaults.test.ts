// Plan: the first visit begins with the built-in model and forms that suit it; changing the model changes what was not
// touched, and nothing that was.
import { expect, test } from 'vitest';
import type { ListedModel } from '../worker/protocol.ts';
import { generateFormErrors, initialGenerateForm } from './generateForm.ts';
import { followGenerateForm, followTrainForm, presetInForm, sizesInUse } from './modelDefaults.ts';
import { initialTrainForm, presetTexts, readTrainForm } from './trainForm.ts';

const common = { revision: '', bytes: 0, savedAt: 0 };
const demo: ListedModel = { id: 'demo', imageSize: 64, sizeUnit: 4, isBuiltIn: true, ...common };
const sd15: ListedModel = { id: 'a/sd15', imageSize: 512, sizeUnit: 8, isBuiltIn: false, ...common };

test('the sizes in use are those of the model, or SD 1.5’s', () => {
  expect(sizesInUse({ models: [demo, sd15], selectedModelId: 'demo' })).toMatchObject({ imageSize: 64, sizeUnit: 4 });
  expect(sizesInUse({ models: [demo], selectedModelId: null })).toEqual({ imageSize: 512, sizeUnit: 8 });
});

test('an untouched form follows the model there and back', () => {
  const there = followTrainForm(initialTrainForm, demo, null);
  expect(there).toEqual({ ...initialTrainForm, ...presetTexts('demoStyle'), resolution: '64' });
  expect(presetInForm(there, 'demo')).toBe('style');
  expect(presetInForm(there, 'a/sd15')).toBeNull();
  expect(readTrainForm(there, [], { imageSize: 64, sizeUnit: 4 }).errors).toEqual({});
  expect(followTrainForm(there, sd15, demo)).toEqual(initialTrainForm);
});

test('a character stays a character', () => {
  const form = { ...initialTrainForm, ...presetTexts('character') };
  expect(presetInForm(followTrainForm(form, demo, sd15), 'demo')).toBe('character');
});

test('what was typed stays, as far as the model can do it', () => {
  const typed = { ...initialTrainForm, rank: '5', resolution: '256' };
  expect(followTrainForm(typed, sd15, null)).toEqual(typed);
  expect(followTrainForm(typed, demo, sd15)).toEqual({ ...typed, resolution: '64' });
});

test('the size and the guidance to draw at follow too', () => {
  const small = followGenerateForm(initialGenerateForm, demo, null);
  expect(small).toMatchObject({ width: '64', height: '64', guidanceScale: '3' });
  expect(generateFormErrors(small, demo)).toEqual({});
  expect(followGenerateForm(small, sd15, demo)).toEqual(initialGenerateForm);
  expect(followGenerateForm({ ...small, guidanceScale: '4' }, sd15, demo)).toMatchObject({ guidanceScale: '4' });
  const wide = { ...initialGenerateForm, width: '768' };
  expect(followGenerateForm(wide, { ...sd15, id: 'another' }, sd15)).toEqual(wide);
  expect(generateFormErrors({ ...small, width: '66', height: '192' }, demo)).toEqual({
    width: 'Width must be a multiple of 4. The model draws in blocks of 4 pixels.',
    height: 'Height goes from 64 to 128. The model draws in blocks of 4 pixels.',
  });
});

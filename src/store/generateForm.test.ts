// Plan: the form and requests are each other's inverse; what is not in use is neither checked nor asked for; sizes offered fit the model.
import { describe, expect, test } from 'vitest';
import type { GenerateRequest } from '../worker/protocol.ts';
import { withoutShortcuts } from '../core/shortcuts.ts';
import { formRequest, formValues, generateFormErrors, initialGenerateForm, sizePresets } from './generateForm.ts';

const sizes = { imageSize: 512, sizeUnit: 8 };

const full: Omit<GenerateRequest, 'modelId' | 'loras'> = {
  prompt: 'a cat',
  negativePrompt: 'a dog',
  seed: 7,
  numInferenceSteps: 12,
  guidanceScale: 6.5,
  width: 512,
  height: 768,
  scheduler: 'unipc',
  schedulerOptions: { useKarrasSigmas: true, timestepSpacing: 'trailing' },
  noiseDevice: 'gpu',
  syntax: 'plain',
  guidanceStart: 0.1,
  guidanceEnd: 0.8,
  reuseInterval: 3,
  mixedPrecision: 'fp16',
  clipSkip: 2,
  batchSize: 1,
  batchCount: 1,
  preview: 'auto',
  hires: { scale: 1.5, steps: 10, strength: 0.4, upscaler: 'lanczos' },
};

describe('form and request', () => {
  test('there and back', () => {
    expect(formRequest({ ...initialGenerateForm, ...formValues(full) })).toEqual(full);
    const { schedulerOptions: _options, hires: _hires, mixedPrecision: _precision, ...slow } = full;
    const plain = withoutShortcuts(slow);
    expect(formRequest({ ...initialGenerateForm, ...formValues(full), ...formValues(plain) })).toEqual(plain);
  });

  test('Karras is asked for only where the scheduler knows it', () => {
    expect(formRequest({ ...initialGenerateForm, karras: 'on' })).not.toHaveProperty('schedulerOptions');
  });

  test('guidance ends no sooner than it begins', () => {
    const form = { ...initialGenerateForm, guidanceStart: '0.6', guidanceEnd: '0.4' };
    expect(generateFormErrors(form, sizes)).toEqual({ guidanceStart: 'Guidance cannot begin after it ends.' });
    expect(generateFormErrors({ ...form, guidanceEnd: '0.6' }, sizes)).toEqual({});
  });

  test('fields that are not in use need not be right', () => {
    const form = { ...initialGenerateForm, hiresScale: 'x' };
    expect(generateFormErrors(form, sizes)).toEqual({});
    expect(generateFormErrors({ ...form, hires: 'on' }, sizes)).toEqual({ hiresScale: 'Enlarge by needs a number.' });
  });
});

test.each([sizes, { imageSize: 64, sizeUnit: 4 }])('sizes for %j are drawable', (model) => {
  for (const { width, height } of sizePresets(model)) {
    const form = { ...initialGenerateForm, width: String(width), height: String(height) };
    expect(generateFormErrors(form, model)).toEqual({});
  }
});

// Plan: what a picture's settings put back: LoRAs by their names (runs, runs at a step, files), the model by its short name; and each
// thing that cannot be put back is said in a sentence.
import { expect, test } from 'vitest';
import type { LibraryLora, ListedModel, ListedRun, RestoredSettings } from '../worker/protocol.ts';
import { findLora, planRestore } from './restore.ts';

const state = {
  runs: [{ id: 'r', name: 'Pixel: art' }] as unknown as ListedRun[],
  library: [
    { id: 'f', name: 'Dots', hash: '0123456789ab' },
    { id: 'g', name: 'Renamed', hash: 'ba9876543210' },
  ] as unknown as LibraryLora[],
  models: [
    { id: 'demo', isBuiltIn: true },
    { id: 'runwayml/stable-diffusion-v1-5', isBuiltIn: false },
  ] as unknown as ListedModel[],
  selectedModelId: 'demo',
};

const settings: RestoredSettings['settings'] = {
  prompt: 'a cat',
  negativePrompt: '',
  seed: 5,
  scheduler: 'euler',
  loras: [],
  schedulerOptions: {},
  clipSkip: 1,
  syntax: 'a1111',
  noiseDevice: 'cpu',
};

test('LoRAs by name, as tags can hold it', () => {
  expect(findLora(state, { name: 'Pixel art' })).toEqual({ kind: 'run', runId: 'r' });
  expect(findLora(state, { name: 'Pixel art-000400' })).toEqual({ kind: 'run', runId: 'r', globalStep: 400 });
  expect(findLora(state, { name: 'Dots' })).toEqual({ kind: 'file', loraId: 'f' });
  expect(findLora(state, { name: 'Nothing' })).toBeNull();
});

test('LoRAs by hash before their names; another file of the same name is said', () => {
  expect(findLora(state, { name: 'Stars', hash: 'ba9876543210' })).toEqual({ kind: 'file', loraId: 'g' });
  expect(findLora(state, { name: 'Dots', hash: 'ba9876543210ffff' })).toEqual({ kind: 'file', loraId: 'g' });
  const weights = { unetWeight: 1, textEncoderWeight: 1 };
  const plan = planRestore(state, {
    settings: {
      ...settings,
      loras: [
        { name: 'Dots', ...weights, hash: 'ffffffffffff' },
        { name: 'Stars', ...weights, hash: 'ba9876543210' },
      ],
    },
    parameters: '',
    ignored: [],
  });
  expect(plan.loras.map(({ source }) => source)).toEqual([
    { kind: 'file', loraId: 'f' },
    { kind: 'file', loraId: 'g' },
  ]);
  expect(plan.missing).toEqual(['The LoRA “Dots” here is another file than the one that the picture was drawn with.']);
});

test('everything that is known comes back', () => {
  const loras = [{ name: 'Dots', unetWeight: 0.8, textEncoderWeight: 0.5 }];
  const plan = planRestore(state, {
    settings: { ...settings, loras, model: 'stable-diffusion-v1-5' },
    parameters: '',
    ignored: [],
  });
  expect(plan).toMatchObject({
    modelId: 'runwayml/stable-diffusion-v1-5',
    missing: [],
    loras: [{ source: { kind: 'file', loraId: 'f' }, weight: 0.8, textEncoderWeight: 0.5 }],
    form: { prompt: 'a cat', seed: '5', scheduler: 'euler', karras: '', seedRule: 'fixed' },
  });
  expect(
    planRestore(state, { settings: { ...settings, model: 'loratory-demo' }, parameters: '', ignored: [] }),
  ).toMatchObject({ modelId: 'demo', missing: [] });
});

test('what cannot come back is said', () => {
  const plan = planRestore(state, {
    settings: {
      ...settings,
      loras: [{ name: 'Lost', unetWeight: 1, textEncoderWeight: 1 }],
      model: 'dreamy',
      strength: 0.5,
    },
    parameters: '',
    ignored: [['ADetailer model', 'face']],
  });
  expect(plan.missing).toEqual([
    'The LoRA “Lost” (at 1) is not in this browser.',
    'The model “dreamy” is not in this browser, so the picture will be another.',
    'It was drawn from a picture, which is not in the file.',
    'ADetailer model: face has no place here.',
  ]);
  expect(plan.form.strength).toBe('0.5');
});

// Plan: two pictures side by side are labelled by what they differ in, and by name where nothing of that differs.
import { expect, test } from 'vitest';
import type { GenerateRequest } from '../worker/protocol.ts';
import { describeBeside } from './gallery.ts';

const request: GenerateRequest = {
  modelId: 'demo',
  prompt: 'a red apple',
  negativePrompt: '',
  seed: 42,
  numInferenceSteps: 20,
  guidanceScale: 3,
  width: 64,
  height: 64,
  scheduler: 'ddim',
  loras: [],
};
const picture = (change: Partial<GenerateRequest>) => ({
  request: { ...request, ...change },
  loraNames: ['Pixel art'],
  isPartial: false,
});
const lora = { source: { kind: 'run', runId: 'r' }, weight: 0.8 } as const;

test('pictures side by side are told apart', () => {
  expect(describeBeside(picture({ guidanceScale: 7.5 }), picture({}))).toBe('guidance 7.5');
  expect(describeBeside(picture({}), picture({ scheduler: 'euler', seed: 7 }))).toBe('seed 42, DDIM');
  expect(describeBeside(picture({ loras: [lora] }), picture({}))).toBe('Pixel art at 0.80');
  expect(describeBeside(picture({ reuseInterval: 3, guidanceEnd: 0.6 }), picture({}))).toBe(
    'guided from 0 to 0.6, reuse 3',
  );
  expect(describeBeside(picture({}), picture({ reuseInterval: 3 }))).toBe('in full');
  expect(describeBeside(picture({ mixedPrecision: 'fp16' }), picture({}))).toBe('fp16');
  expect(describeBeside(picture({ prompt: 'a pear' }), picture({}))).toBe('“a pear”');
});

test('where these facts are the same, or one is a plot, the picture has its name', () => {
  expect(describeBeside(picture({}), picture({ negativePrompt: 'blurry' }))).toBe('plain model, seed 42');
  expect(describeBeside({ ...picture({}), plot: ['Seed'] }, picture({}))).toBe('X/Y/Z plot: Seed');
});

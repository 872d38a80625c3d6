// Plan: a row that breaks is told once, by name or as a whole; one that recovers may be told again; what was broken before training is not.
import { expect, test } from 'vitest';
import type { RgbImage } from '../core/image.ts';
import { SampleWatch } from './sampleWatch.ts';

const fine: RgbImage = { width: 16, height: 16, data: new Uint8Array(768).map((_, i) => (i % 48) * 5) };
const black: RgbImage = { width: 16, height: 16, data: new Uint8Array(768) };

function row(globalStep: number, ...images: RgbImage[]) {
  return { globalStep, images: images.map((image, i) => ({ prompt: `prompt ${i}`, seed: 1, image })) };
}

test('what breaks is told once, with what to do', () => {
  const watch = new SampleWatch();
  expect(watch.judge(row(0, fine, fine))).toBeNull();
  expect(watch.judge(row(100, fine, fine))).toBeNull();
  expect(watch.judge(row(200, fine, black))).toBe(
    'The sample of “prompt 1” shows black at step 200: training has gone too far. Stop, and branch off an earlier step with a lower learning rate, or start again with a lower rank or fewer steps.',
  );
  expect(watch.judge(row(300, black, black))).toBeNull();
  expect(watch.judge(row(400, fine, fine))).toBeNull();
  expect(watch.judge(row(500, black, black))).toMatch(/^The samples show black at step 500/);
});

test('what was so before training is the model’s own', () => {
  const watch = new SampleWatch();
  expect(watch.judge(row(0, black, fine))).toBeNull();
  expect(watch.judge(row(100, black, fine))).toBeNull();
});

// Plan: a picture that is hard at every timestep comes out on top, whatever timesteps chance gave it; noise levels have their means; and
// the validation's course is read as a person would read it.
import { describe, expect, it, test } from 'vitest';
import { deriveSeed } from '../core/rng.ts';
import type { TrainRecord } from '../worker/protocol.ts';
import { readValidation, standsOut, summariseRecord } from './runRecords.ts';

/** Four images, of which image 2 is twice as hard; image 0 is only ever drawn at timesteps where all losses are high. */
function record(): TrainRecord {
  const entries = Array.from({ length: 400 }, (_, i) => {
    const image = i % 4;
    const drawn = deriveSeed(i, 'timestep') % 1000;
    const timestep = image === 0 ? drawn % 100 : drawn;
    return { image, timestep, loss: (1 - timestep / 1100) * (image === 2 ? 2 : 1) };
  });
  return {
    imageIds: ['a', 'b', 'c', 'd', 'never drawn'],
    steps: Uint32Array.from(entries, (_, i) => i + 1),
    images: Uint16Array.from(entries, ({ image }) => image),
    timesteps: Uint16Array.from(entries, ({ timestep }) => timestep),
    losses: Float32Array.from(entries, ({ loss }) => loss),
  };
}

test('the hard image is found, and the unlucky one is not blamed', () => {
  const { images, buckets } = summariseRecord(record());
  expect(images.map(({ imageId }) => imageId).slice(0, 1)).toEqual(['c']);
  expect(images).toHaveLength(4);
  expect(images.filter(standsOut).map(({ imageId }) => imageId)).toEqual(['c']);
  const unlucky = images.find(({ imageId }) => imageId === 'a');
  expect(unlucky?.relative).toBeGreaterThan(0.7);
  expect(unlucky?.relative).toBeLessThan(1.1);
  expect(buckets).toHaveLength(10);
  expect(buckets[0]?.mean).toBeGreaterThan(buckets[9]?.mean ?? NaN);
});

test('nothing, and what is not a number, are no losses', () => {
  const empty = {
    imageIds: ['a'],
    steps: new Uint32Array(),
    images: new Uint16Array(),
    timesteps: new Uint16Array(),
    losses: new Float32Array(),
  };
  expect(summariseRecord(empty).images).toEqual([]);
  expect(summariseRecord(empty).buckets.every(({ count, mean }) => count === 0 && Number.isNaN(mean))).toBe(true);
  const one = {
    ...empty,
    images: Uint16Array.of(0, 0),
    timesteps: Uint16Array.of(5, 5),
    losses: Float32Array.of(NaN, 2),
  };
  expect(summariseRecord(one).images).toEqual([{ imageId: 'a', count: 1, mean: 2, relative: 1 }]);
});

describe('the validation’s verdict', () => {
  const verdict = (...losses: number[]) =>
    readValidation(losses.map((loss, i) => ({ globalStep: 50 * (i + 1), loss })));

  it.each([
    [[], undefined],
    [[0.5, 0.4], 'too little'],
    [[0.5, 0.45, 0.4], 'falling'],
    [[0.5, 0.501, 0.499], 'flat'],
    [[0.5, 0.4, 0.45], 'memorising'],
    [[0.5, 0.4, 0.405], 'falling'],
    [[0.5, 0.55, 0.6], 'memorising'],
  ] as const)('%j: %s', (losses, kind) => expect(verdict(...losses)?.kind).toBe(kind));

  it('names the step to go back to', () => {
    expect(verdict(0.5, 0.4, 0.5)?.text).toContain('lowest at step 100 and has risen by 25 % since');
    expect(verdict(0.5, 0.45, 0.4)?.text).toContain('It still falls');
  });
});

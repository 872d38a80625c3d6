// Plan: marked images and no others; else so many or such a share, by the seed; never all.
import { expect, test } from 'vitest';
import { heldOutImages } from './validationSplit.ts';

const images = Array.from({ length: 20 }, () => ({ heldOut: false }));
const none = { split: 0, count: 0, seed: 1 };
const held = (flags: readonly boolean[]): number[] => flags.flatMap((flag, i) => (flag ? [i] : []));

test('marked images, whatever else is asked for', () => {
  const marked = images.map((_, i) => ({ heldOut: i === 3 || i === 7 }));
  expect(held(heldOutImages(marked, { ...none, count: 5 }))).toEqual([3, 7]);
});

test('so many, or such a share, by the seed', () => {
  expect(held(heldOutImages(images, none))).toEqual([]);
  const drawn = held(heldOutImages(images, { ...none, count: 4 }));
  expect(drawn).toHaveLength(4);
  expect(held(heldOutImages(images, { ...none, count: 4, split: 0.5 }))).toEqual(drawn);
  expect(held(heldOutImages(images, { ...none, count: 4, seed: 2 }))).not.toEqual(drawn);
  expect(held(heldOutImages(images, { ...none, split: 0.1 }))).toHaveLength(2);
  expect(held(heldOutImages(images, { ...none, split: 0.001 }))).toHaveLength(1);
});

test('one image is always left to train on', () => {
  expect(held(heldOutImages(images.slice(0, 3), { ...none, count: 9 }))).toHaveLength(2);
  expect(held(heldOutImages(images.slice(0, 1), { ...none, split: 0.9 }))).toEqual([]);
  expect(heldOutImages([], { ...none, split: 0.9 })).toEqual([]);
});

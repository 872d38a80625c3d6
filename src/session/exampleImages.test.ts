// Plan: places of crops: the middle, the chosen one, at random so many that differ, alike for a seed; how many fit into memory.
import { expect, test } from 'vitest';
import { defaultTrainOptions } from '../core/trainOptions.ts';
import type { DiffusionModel } from '../models/repository.ts';
import { cropsPerImage, placeCrops } from './exampleImages.ts';

const options = { ...defaultTrainOptions, resolution: 64 };
const random = { ...options, randomCrop: true };
const wide = { width: 200, height: 100 };
const first = { index: 0, count: 8 };

test('one place unless it is to be drawn', () => {
  expect(placeCrops(wide, null, options, first)).toMatchObject([{ left: 32, top: 0 }]);
  expect(placeCrops(wide, { x: 0, y: 0.5, zoom: 1 }, random, first)).toMatchObject([{ left: 0, top: 0 }]);
  expect(placeCrops({ width: 100, height: 100 }, null, random, first)).toHaveLength(1);
});

test('at random, places differ, lie within the image and are drawn by the seed and the image', () => {
  const places = placeCrops(wide, null, random, first);
  expect(places.length).toBeGreaterThan(4);
  expect(new Set(places.map(({ left }) => left)).size).toBe(places.length);
  for (const { left, top } of places) {
    expect(left).toBeGreaterThanOrEqual(0);
    expect(left).toBeLessThanOrEqual(64);
    expect(top).toBe(0);
  }
  expect(placeCrops(wide, null, random, first)).toEqual(places);
  expect(placeCrops(wide, null, random, { ...first, index: 1 })).not.toEqual(places);
  expect(placeCrops(wide, null, { ...random, seed: 1 }, first)).not.toEqual(places);
});

test('many images have fewer crops each, so that their latents fit into memory', () => {
  const model = {
    vaeConfig: { blockOutChannels: [1, 1, 1, 1], latentChannels: 4 },
  } as unknown as DiffusionModel;
  const at512 = { ...random, resolution: 512, flipProbability: 0.5 };
  expect(cropsPerImage({ ...at512, randomCrop: false }, 20, model)).toBe(1);
  expect(cropsPerImage(at512, 20, model)).toBe(8);
  expect(cropsPerImage(at512, 300, model)).toBe(3);
  expect(cropsPerImage(at512, 5000, model)).toBe(1);
});

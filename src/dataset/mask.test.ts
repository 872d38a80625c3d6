// Plan: weights are the mean of what a latent pixel covers, of the same crop as the image's; colours count by their mean; mirroring;
// another shape is refused by name.
import { expect, test } from 'vitest';
import type { RgbImage } from '../core/image.ts';
import { checkMaskShape, flipMask, latentMask } from './mask.ts';

/** A grey picture from a function of x and y. */
function grey(width: number, height: number, value: (x: number, y: number) => number): RgbImage {
  const data = Uint8Array.from({ length: width * height * 3 }, (_, i) => {
    const pixel = Math.floor(i / 3);
    return value(pixel % width, Math.floor(pixel / width));
  });
  return { width, height, data };
}

test('a latent pixel weighs what its pixels weigh on average', () => {
  const mask = grey(16, 16, (x, y) => (y < 8 ? 255 : x < 4 ? 255 : 0));
  const placement = { bucket: { width: 16, height: 16 }, resized: { width: 16, height: 16 }, left: 0, top: 0 };
  expect([...latentMask(mask, placement, 8)]).toEqual([1, 1, 0.5, 0]);
  expect(
    [
      ...latentMask(
        grey(16, 16, () => 51),
        placement,
        8,
      ),
    ].map((w) => w.toFixed(6)),
  ).toEqual(Array.from({ length: 4 }, () => '0.200000'));
});

test('colours count by their mean', () => {
  const red = { width: 8, height: 8, data: Uint8Array.from({ length: 192 }, (_, i) => (i % 3 === 0 ? 255 : 0)) };
  const placement = { bucket: { width: 8, height: 8 }, resized: { width: 8, height: 8 }, left: 0, top: 0 };
  expect(latentMask(red, placement, 8)[0]).toBeCloseTo(1 / 3, 6);
});

test('a mask of half the size is cut where the image is', () => {
  // The image is 64 x 32, its crop the right half at full size.
  const mask = grey(32, 16, (x) => (x >= 24 ? 255 : 0));
  const placement = { bucket: { width: 32, height: 32 }, resized: { width: 64, height: 32 }, left: 32, top: 0 };
  const weights = latentMask(mask, placement, 8);
  expect(weights).toHaveLength(16);
  expect([...weights.subarray(0, 4)].map((w) => Math.round(w))).toEqual([0, 0, 1, 1]);
});

test('mirrored weights', () => {
  expect([...flipMask(Float32Array.of(1, 2, 3, 4, 5, 6), 3)]).toEqual([3, 2, 1, 6, 5, 4]);
});

test('a mask of another shape is refused', () => {
  const image = { width: 640, height: 480 };
  for (const [width, height] of [
    [640, 480],
    [320, 240],
    [213, 160],
    [1280, 961],
  ] as const)
    expect(() =>
      checkMaskShape(
        grey(width, height, () => 0),
        'a.mask.png',
        image,
      ),
    ).not.toThrow();
  expect(() =>
    checkMaskShape(
      grey(512, 512, () => 0),
      'a.mask.png',
      image,
    ),
  ).toThrow('The mask a.mask.png is 512 x 512 pixels, which is not the shape of its image (640 x 480).');
});

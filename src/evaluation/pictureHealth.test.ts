// Plan: black, one colour, noise of any strength; and what must not be mistaken for it: gradients, line drawings, fine stripes on a picture.
import { expect, test } from 'vitest';
import type { RgbImage } from '../core/image.ts';
import { TorchGenerator } from '../core/rng.ts';
import { pictureHealth } from './pictureHealth.ts';

function picture(side: number, colour: (x: number, y: number) => readonly [number, number, number]): RgbImage {
  const data = new Uint8Array(side * side * 3);
  for (let y = 0; y < side; y++) for (let x = 0; x < side; x++) data.set(colour(x, y), (y * side + x) * 3);
  return { width: side, height: side, data };
}

test('one colour', () => {
  expect(pictureHealth(picture(64, () => [0, 0, 0]))).toBe('black');
  expect(pictureHealth(picture(64, (x) => [x % 2, 1, 0]))).toBe('black');
  expect(pictureHealth(picture(64, () => [90, 200, 30]))).toBe('blank');
});

test.each([12, 30, 127])('noise of amplitude %i', (amplitude) => {
  const noise = new TorchGenerator(7).rand(64 * 64 * 3);
  const at = (i: number): number => 128 + amplitude * (2 * noise[i]! - 1);
  const image = picture(64, (x, y) => [at((y * 64 + x) * 3), at((y * 64 + x) * 3 + 1), at((y * 64 + x) * 3 + 2)]);
  expect(pictureHealth(image)).toBe('noise');
});

test('pictures', () => {
  expect(pictureHealth(picture(64, (x, y) => [4 * x, 4 * y, 128]))).toBe('fine');
  // A thin drawing on white.
  expect(
    pictureHealth(picture(64, (x, y) => (Math.abs(Math.hypot(x - 32, y - 32) - 20) < 1 ? [0, 0, 0] : [255, 255, 255]))),
  ).toBe('fine');
  // Large pixels, as pixel art has them.
  const coarse = new TorchGenerator(3).rand(16 * 16);
  const art = picture(64, (x, y) => {
    const value = 255 * coarse[(y >> 2) * 16 + (x >> 2)]!;
    return [value, value, value];
  });
  expect(pictureHealth(art)).toBe('fine');
});

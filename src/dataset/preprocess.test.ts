/**
 * Plan: what PIL and torchvision did to three images, byte for byte where it is bytes; enlarging; the rounding of sizes and crops; images
 * too small to crop.
 */
import { describe, expect, it } from 'vitest';
import { expectClose, golden, oracleCases } from '../../tools/testing.ts';
import type { RgbImage } from '../core/image.ts';
import { InvariantError } from '../core/errors.ts';
import {
  centerCrop,
  cropResized,
  flipHorizontal,
  preprocessTensor,
  resize,
  resizeShorterSide,
  toModelRange,
} from './preprocess.ts';

const SIZE = 32;

/** The oracle's values lie [3, height, width]. */
function toChannelsFirst(values: Float32Array): Float32Array {
  const pixels = values.length / 3;
  return values.map((_, i) => values[(i % pixels) * 3 + Math.floor(i / pixels)]!);
}

async function imageOf(c: ReturnType<typeof oracleCases>[number], role: string): Promise<RgbImage> {
  const { values, shape } = await golden(c, role);
  return { height: shape[0]!, width: shape[1]!, data: Uint8Array.from(values) };
}

/** A picture of one row whose three channels are alike. */
function grayRow(...values: number[]): RgbImage {
  return { width: values.length, height: 1, data: Uint8Array.from(values.flatMap((value) => [value, value, value])) };
}

describe('preprocessing', () => {
  it.each(oracleCases('preprocess/'))('equals PIL and torchvision: $id', async (c) => {
    const image = await imageOf(c, 'image_u8_hwc');
    const resized = resizeShorterSide(image, SIZE);
    expect(resized).toEqual(await imageOf(c, 'pil.resized_u8_hwc'));
    const cropped = centerCrop(resized, SIZE);
    expect(cropped).toEqual(await imageOf(c, 'pil.cropped_u8_hwc'));
    expect(toChannelsFirst(toModelRange(cropped))).toEqual((await golden(c, 'pil.values')).values);
    expect(toChannelsFirst(toModelRange(flipHorizontal(cropped)))).toEqual(
      (await golden(c, 'pil.values_flipped')).values,
    );

    const floats = preprocessTensor(image, SIZE);
    const [floatResized, floatValues] = [await golden(c, 'tensor.resized'), await golden(c, 'tensor.values')];
    expectClose(toChannelsFirst(floats.resized.data), floatResized.values, floatResized.atol, 'resized');
    expectClose(toChannelsFirst(floats.values), floatValues.values, floatValues.atol, 'values');
  });

  it('enlarges by interpolating between pixel centres', () => {
    expect(resize(grayRow(0, 100), 4, 1)).toEqual(grayRow(0, 25, 75, 100));
  });

  it('shrinks by averaging all that a pixel covers', () => {
    // A triangle two pixels wide to each side: weights 1 3 3 1 in the middle, and cut and scaled up at the borders.
    expect(resize(grayRow(0, 0, 255, 255), 2, 1)).toEqual(grayRow(36, 219));
  });

  it('leaves an image of the right size as it is', () => {
    const image = grayRow(1, 2, 3);
    expect(resize(image, 3, 1)).toBe(image);
  });

  it.each([
    [61, 47, 41, 32],
    [47, 61, 32, 41],
    [50, 50, 32, 32],
    [1000, 333, 96, 32],
  ])('brings %i x %i to %i x %i', (width, height, newWidth, newHeight) => {
    const resized = resizeShorterSide({ width, height, data: new Uint8Array(width * height * 3) }, SIZE);
    expect([resized.width, resized.height]).toEqual([newWidth, newHeight]);
  });

  it.each([
    [1, 0],
    [2, 1],
    [3, 2],
    [5, 2],
    [7, 4],
  ])('drops of %i extra pixels %i at the left: halves go to the even number', (extra, left) => {
    const width = 2 + extra;
    const data = Uint8Array.from({ length: width * 2 * 3 }, (_, i) => Math.floor(i / 3) % width);
    expect(centerCrop({ width, height: 2, data }, 2).data[0]).toBe(left);
  });

  it('spans [-1, 1]', () => {
    expect([...toModelRange(grayRow(0, 255))]).toEqual([-1, -1, -1, 1, 1, 1]);
  });

  it('computes a crop of the resized image without the rest of it, byte for byte', () => {
    const data = Uint8Array.from({ length: 40 * 30 * 3 }, (_, i) => (i * 7919) % 256);
    const image = { width: 40, height: 30, data };
    for (const [width, height] of [
      [20, 15],
      [64, 48],
      [40, 30],
    ] as const) {
      const whole = resize(image, width, height);
      const [left, top] = [3, 5];
      const bucket = { width: 9, height: 7 };
      const crop = cropResized(image, { resized: { width, height }, bucket, left, top });
      expect(crop).toMatchObject(bucket);
      for (let y = 0; y < bucket.height; y++) {
        const from = ((top + y) * width + left) * 3;
        const row = crop.data.subarray(y * bucket.width * 3, (y + 1) * bucket.width * 3);
        expect(row).toEqual(whole.data.subarray(from, from + bucket.width * 3));
      }
    }
    const outside = { resized: { width: 20, height: 15 }, bucket: { width: 9, height: 7 }, left: 12, top: 0 };
    expect(() => cropResized(image, outside)).toThrow(InvariantError);
  });

  it('refuses to crop beyond the image', () => {
    expect(() => centerCrop(grayRow(1, 2, 3), 2)).toThrow(InvariantError);
  });
});

/** Plan: a mask from a picture, at the latents' size, blurred; what is put back at each step; pasting to the bit. */
import { describe, expect, it } from 'vitest';
import { fixtureJson } from '../../tools/testing.ts';
import type { RgbImage } from '../core/image.ts';
import { createScheduler } from '../schedulers/index.ts';
import { blurMask, keepUnmasked, latentMask, maskOf, pasteUnmasked } from './inpaint.ts';

const SD15 = fixtureJson('sd15-tiny/model/scheduler/scheduler_config.json') as Record<string, unknown>;

function grey(width: number, height: number, valueAt: (x: number, y: number) => number): RgbImage {
  const data = new Uint8Array(width * height * 3);
  for (let p = 0; p < width * height; p++) data.fill(valueAt(p % width, Math.floor(p / width)), p * 3, p * 3 + 3);
  return { width, height, data };
}

describe('a mask', () => {
  it('is 1 from the middle grey on', () => {
    const mask = maskOf(grey(3, 1, (x) => [127, 128, 255][x]!));
    expect([...mask.values]).toEqual([0, 1, 1]);
  });

  it('takes the first pixel of each block for the latents, as nearest interpolation does', () => {
    const mask = maskOf(grey(16, 16, (x, y) => (x === 8 && y === 0 ? 255 : 0)));
    expect([...latentMask(mask, 8).values]).toEqual([0, 1, 0, 0]);
    const missed = maskOf(grey(16, 16, (x, y) => (x === 9 && y === 1 ? 255 : 0)));
    expect([...latentMask(missed, 8).values]).toEqual([0, 0, 0, 0]);
  });

  it('is blurred to both sides, keeping its amount', () => {
    const mask = maskOf(grey(41, 41, (x) => (x >= 20 ? 255 : 0)));
    const { values } = blurMask(mask, 2);
    const row = values.subarray(20 * 41, 21 * 41);
    expect(row[20]! + row[19]!).toBeCloseTo(1, 5);
    expect([...row]).toEqual([...row].sort((a, b) => a - b));
    expect(row[10]).toBe(0);
    expect(row[30]).toBeCloseTo(1, 6);
    expect(blurMask(mask, 0)).toBe(mask);
  });
});

it('puts back the picture where the mask is 0: noised to the level of the next step, clean after the last', () => {
  const scheduler = createScheduler('ddim', SD15, 4);
  const clean = Float32Array.of(1, 2, 3, 4, 5, 6, 7, 8);
  const noise = Float32Array.of(1, -1, 1, -1, 1, -1, 1, -1);
  const mask = { width: 2, height: 1, values: Float32Array.of(0, 1) };
  const keep = keepUnmasked(scheduler, clean, noise, mask, 4);
  const latents = new Float32Array(8).fill(100);
  const noised = scheduler.addNoise(clean, noise, 2);
  expect([...keep(latents, 1)]).toEqual([...noised.slice(0, 4), 100, 100, 100, 100]);
  expect([...keep(latents, 3)]).toEqual([1, 2, 3, 4, 100, 100, 100, 100]);
  // Of a batch, each picture.
  const batch = keepUnmasked(
    scheduler,
    Float32Array.of(...clean, ...clean),
    Float32Array.of(...noise, ...noise),
    mask,
    4,
  );
  expect(batch(new Float32Array(16).fill(9), 3).slice(8)).toEqual(Float32Array.of(1, 2, 3, 4, 9, 9, 9, 9));
});

it('pastes the original to the bit where the mask is 0, and mixes where it is between', () => {
  const drawn = grey(3, 1, () => 200);
  const original = grey(3, 1, (x) => 11 + x);
  const pasted = pasteUnmasked(drawn, original, { width: 3, height: 1, values: Float32Array.of(0, 0.5, 1) });
  expect([pasted.data[0], pasted.data[3], pasted.data[6]]).toEqual([11, 106, 200]);
});

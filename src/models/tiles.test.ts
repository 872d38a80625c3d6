// Plan: whatever the tiling, a network that treats every pixel alike must give what it gives on the whole; the pieces meet
// without a seam; a plane that fits is run once.
import { describe, expect, test } from 'vitest';
import { inTiles, type Plane } from './tiles.ts';

const plane = (n: number, height: number, width: number, channels: number): Plane => ({
  n,
  height,
  width,
  channels,
  data: Float32Array.from({ length: n * height * width * channels }, (_, i) => Math.sin(i)),
});

/** Doubles both sides and writes the pixel and its negative into two channels. */
async function double(tile: Plane): Promise<Float32Array> {
  const out = new Float32Array(tile.n * tile.height * 2 * tile.width * 2 * 2);
  for (let i = 0; i < tile.n; i++) {
    for (let y = 0; y < tile.height * 2; y++) {
      for (let x = 0; x < tile.width * 2; x++) {
        const value = tile.data[((i * tile.height + (y >> 1)) * tile.width + (x >> 1)) * tile.channels]!;
        const at = ((i * tile.height * 2 + y) * tile.width * 2 + x) * 2;
        out[at] = value;
        out[at + 1] = -value;
      }
    }
  }
  return out;
}

describe('inTiles', () => {
  test.each([
    [1, 8, 8],
    [2, 13, 22],
    [1, 31, 9],
  ])('%i planes of %i x %i, tiles of 8: equal to the whole', async (n, height, width) => {
    const input = plane(n, height, width, 1);
    const whole = await double(input);
    const tiled = await inTiles(input, 8, 2, 2, double);
    expect([tiled.height, tiled.width, tiled.channels]).toEqual([height * 2, width * 2, 2]);
    expect(tiled.data.length).toBe(whole.length);
    tiled.data.forEach((value, i) => expect(value).toBeCloseTo(whole[i]!, 6));
  });

  test('what fits is run once', async () => {
    let calls = 0;
    await inTiles(plane(1, 8, 8, 1), 8, 2, 2, (tile) => {
      calls++;
      return double(tile);
    });
    expect(calls).toBe(1);
  });

  test('where tiles disagree, the seam fades instead of jumping', async () => {
    let calls = 0;
    const constant = async (tile: Plane): Promise<Float32Array> => new Float32Array(tile.data.length).fill(calls++);
    const { data } = await inTiles(plane(1, 4, 14, 1), 8, 1, 1, constant);
    for (let x = 1; x < 14; x++) expect(Math.abs(data[x]! - data[x - 1]!)).toBeLessThanOrEqual(0.5);
  });
});

// Plan: f16 keeps the bits; int8 is off by at most half a step of its block, keeps the largest of each block and zeros exactly, takes 8.5
// bits a weight, and depends on nothing outside the block; sizes that fill no word or block.
import { describe, expect, test } from 'vitest';
import { float16ToFloat32, float32ToFloat16 } from '../core/float16.ts';
import { packWeights, readWeights, weightWords } from './weightFormat.ts';

const values = Float32Array.from({ length: 1000 }, (_, i) => Math.sin(i * 1.7) * 2 ** -(Math.floor(i / 32) % 12));
const halves = float32ToFloat16(values);
const stored = float16ToFloat32(halves);

describe('f16', () => {
  test('keeps the halves', () => {
    expect(readWeights(packWeights(halves, 'f16'), 'f16')).toEqual(stored);
  });

  test('an odd count is filled up', () => {
    const words = packWeights(halves.slice(0, 3), 'f16');
    expect(words).toHaveLength(weightWords(3, 'f16'));
    expect([...readWeights(words, 'f16')]).toEqual([...stored.subarray(0, 3), 0]);
  });
});

describe('int8', () => {
  test('is off by at most half a step of its block, and keeps the largest', () => {
    const read = readWeights(packWeights(halves, 'int8'), 'int8');
    for (let start = 0; start < stored.length; start += 32) {
      const own = stored.subarray(start, start + 32);
      const largest = Math.max(...own.map(Math.abs));
      own.forEach((value, i) => {
        expect(Math.abs(read[start + i]! - value)).toBeLessThanOrEqual((largest / 254) * 1.0001);
      });
      const at = own.findIndex((value) => Math.abs(value) === largest);
      expect(read[start + at]! / own[at]!).toBeCloseTo(1, 6);
    }
  });

  test('a block of zeros, and what fills the last up, are zeros', () => {
    const read = readWeights(packWeights(new Uint16Array(40), 'int8'), 'int8');
    expect(read).toEqual(new Float32Array(64));
  });

  test('takes 17 words for 64 weights', () => {
    expect(weightWords(6400, 'int8')).toBe(1700);
    expect(packWeights(halves, 'int8')).toHaveLength(weightWords(1000, 'int8'));
  });
});

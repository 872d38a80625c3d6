/**
 * Plan: widening against the definition for all 65,536 halves; narrowing against the nearest-even rule, computed with exact
 * doubles, at every half, at every midpoint between two halves and one float32 step to each side of it; the round trip; specials.
 */
import { describe, expect, it } from 'vitest';
import { bfloat16ToFloat32, float16ToFloat32, float32ToFloat16 } from './float16.ts';

const allHalves = Uint16Array.from({ length: 65536 }, (_, i) => i);

function valueOf(half: number): number {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >> 10) & 31;
  const mantissa = half & 0x3ff;
  if (exponent === 31) return mantissa === 0 ? sign * Infinity : NaN;
  return exponent === 0 ? sign * mantissa * 2 ** -24 : sign * (1 + mantissa / 1024) * 2 ** (exponent - 15);
}

function nextFloat32(value: number, direction: 1 | -1): number {
  const float = Float32Array.of(value);
  const bits = new Int32Array(float.buffer);
  bits[0] = bits[0]! + direction;
  return float[0]!;
}

describe('float16', () => {
  it('widens every half to its value', () => {
    const wide = float16ToFloat32(allHalves);
    const wrong = [...allHalves].filter((half) => !Object.is(wide[half], valueOf(half)));
    expect(wrong).toEqual([]);
  });

  it('narrows every half back to itself, NaNs included', () => {
    const back = float32ToFloat16(float16ToFloat32(allHalves));
    const isSignallingNaN = (half: number): boolean =>
      (half & 0x7c00) === 0x7c00 && (half & 0x3ff) !== 0 && (half & 0x200) === 0;
    const wrong = [...allHalves].filter((half) => back[half] !== (isSignallingNaN(half) ? half | 0x200 : half));
    expect(wrong).toEqual([]);
  });

  it('rounds to nearest even at every midpoint and next to it', () => {
    const inputs: number[] = [];
    const wanted: number[] = [];
    for (let half = 0; half < 0x7c00; half++) {
      // The half after the largest one would be 65536; its midpoint with 65504 rounds to infinity.
      const upper = half + 1 === 0x7c00 ? 65536 : valueOf(half + 1);
      const middle = (valueOf(half) + upper) / 2;
      const even = half & 1 ? half + 1 : half;
      for (const [value, result] of [
        [middle, even],
        [nextFloat32(middle, 1), half + 1],
        [nextFloat32(middle, -1), half],
      ] as const) {
        inputs.push(value, -value);
        wanted.push(result, result | 0x8000);
      }
    }
    const got = float32ToFloat16(Float32Array.from(inputs));
    const wrong = inputs.filter((_, i) => got[i] !== wanted[i]);
    expect(wrong).toEqual([]);
  });

  it('handles zeros, infinities, NaN and float32 subnormals', () => {
    const got = float32ToFloat16(Float32Array.of(0, -0, Infinity, -Infinity, NaN, 1e-45, -1e-45, 65520, 65519, 1e30));
    expect([...got]).toEqual([0, 0x8000, 0x7c00, 0xfc00, 0x7e00, 0, 0x8000, 0x7c00, 0x7bff, 0x7c00]);
  });

  it('reads an array that is a view into a larger one', () => {
    const view = Float32Array.of(9, 1, -2).subarray(1);
    expect([...float32ToFloat16(view)]).toEqual([0x3c00, 0xc000]);
  });

  it('widens bfloat16', () => {
    expect([...bfloat16ToFloat32(Uint16Array.of(0x3f80, 0xc000, 0x7f80, 0x0001, 0x3fc0))]).toEqual([
      1,
      -2,
      Infinity,
      2 ** -133,
      1.5,
    ]);
  });
});

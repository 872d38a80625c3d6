/**
 * Plan: Lanczos against its definition computed in floats (a constant stays, a step overshoots and is clamped); fitting crops the middle or
 * stretches; latents against torch's rule at places computed by hand.
 */
import { describe, expect, it } from 'vitest';
import type { RgbImage } from '../core/image.ts';
import { fitTo, resizeLanczos, resizeLatents } from './resample.ts';

function grey(values: readonly number[], width = values.length): RgbImage {
  return {
    width,
    height: values.length / width,
    data: Uint8Array.from(values.flatMap((value) => [value, value, value])),
  };
}
const greyOf = ({ data }: RgbImage): number[] => Array.from(data).filter((_, i) => i % 3 === 0);

describe('Lanczos', () => {
  it('keeps a constant, both enlarged and shrunk', () => {
    const flat = grey(
      Array.from({ length: 64 }, () => 77),
      8,
    );
    for (const [width, height] of [
      [20, 13],
      [3, 5],
    ] as const) {
      expect(new Set(greyOf(resizeLanczos(flat, width, height)))).toEqual(new Set([77]));
    }
  });

  it('gives the numbers of its definition, overshooting at a step', () => {
    const step = [0, 0, 0, 0, 100, 100, 100, 100];
    const sinc = (x: number): number => (x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x));
    const expected = Array.from({ length: 16 }, (_, i) => {
      const center = (i + 0.5) / 2;
      let [sum, total] = [0, 0];
      step.forEach((value, j) => {
        const x = j + 0.5 - center;
        if (Math.abs(x) >= 3) return;
        const weight = sinc(x) * sinc(x / 3);
        sum += weight * value;
        total += weight;
      });
      return Math.min(255, Math.max(0, Math.round(sum / total)));
    });
    const enlarged = greyOf(resizeLanczos(grey(step), 16, 1));
    expect(enlarged).toEqual(expected);
    expect(Math.max(...enlarged)).toBeGreaterThan(100);
  });

  it('leaves a picture of the size it has', () => {
    const image = grey([1, 2, 3, 4], 2);
    expect(resizeLanczos(image, 2, 2)).toBe(image);
  });
});

describe('bringing a picture to a size', () => {
  const wide = grey([10, 20, 30, 40, 50, 60, 70, 80], 4);

  it('crops its middle, or stretches it', () => {
    expect(greyOf(fitTo(wide, 2, 2))).toEqual([20, 30, 60, 70]);
    const stretched = fitTo(wide, 2, 2, 'stretch');
    expect([stretched.width, stretched.height]).toEqual([2, 2]);
    expect(greyOf(stretched)[0]).toBeLessThan(20);
  });

  it('enlarges what is smaller', () => {
    const fitted = fitTo(wide, 16, 16);
    expect([fitted.width, fitted.height]).toEqual([16, 16]);
  });
});

it('resizes latents as torch does: half-pixel centres, edges held', () => {
  // [1, 1, 2, 1]: 0, 4 to four: torch gives 0, 1, 3, 4.
  expect([...resizeLatents(Float32Array.of(0, 4), [1, 1, 2, 1], [1, 4])]).toEqual([0, 1, 3, 4]);
  // Two channels and two samples stay apart.
  const two = resizeLatents(Float32Array.of(0, 10, 4, 20, 1, 1, 1, 1), [2, 1, 2, 2], [1, 4]);
  expect([...two]).toEqual([0, 10, 1, 12.5, 3, 17.5, 4, 20, 1, 1, 1, 1, 1, 1, 1, 1]);
});

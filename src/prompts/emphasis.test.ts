// Plan: weights of 1 change nothing; others multiply their token and restore the mean; a mean of 0 does not give NaN.
import { describe, expect, it } from 'vitest';
import { expectClose } from '../../tools/testing.ts';
import { TorchGenerator } from '../core/rng.ts';
import { applyWeights } from './emphasis.ts';

const mean = (values: Float32Array): number => values.reduce((sum, value) => sum + value, 0) / values.length;

describe('emphasis', () => {
  it('is the same array where all weights are 1', () => {
    const values = Float32Array.of(0.1, 0.2, 0.3, 0.4);
    expect(applyWeights(values, Float32Array.of(1, 1))).toBe(values);
  });

  it('multiplies and restores the mean', () => {
    // [1 2 | 3 4], mean 2.5; weighted [1 2 | 6 8], mean 4.25.
    const out = applyWeights(Float32Array.of(1, 2, 3, 4), Float32Array.of(1, 2));
    expectClose(
      out,
      [1, 2, 6, 8].map((value) => (value * 2.5) / 4.25),
      1e-6,
    );
  });

  it('keeps the mean and the ratios of random values', () => {
    const random = new TorchGenerator(9);
    const values = random.randn(77 * 8).map((value) => value + 0.3);
    const weights = random.rand(77).map((value) => value * 2);
    const out = applyWeights(values, weights);
    expect(Math.abs(mean(out) - mean(values))).toBeLessThan(1e-5);
    const factor = out[0]! / (values[0]! * weights[0]!);
    expectClose(
      out,
      values.map((value, i) => value * weights[Math.floor(i / 8)]! * factor),
      1e-5,
    );
  });

  it('gives zeros for weights of 0, not NaN', () => {
    expect([...applyWeights(Float32Array.of(1, 2), Float32Array.of(0, 0))]).toEqual([0, 0]);
  });
});

// Plan: a linear layer's branch with each kind of dropout alone and all together, output and gradients against the CPU reference and central
// differences (which see whether the backward pass drops what the forward dropped); what is dropped: single elements, whole ranks of an example,
// whole modules; how much, and how the rest is scaled; the same key gives the same, another key or salt another.
import { tensor } from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import { readTensor, tidy } from '../ops.ts';
import { checkOp, noise, packedWeights, useTestRuntime } from '../testing.ts';
import { dropoutFactors, type DropoutChances, type DropoutDraw } from './dropout.ts';
import { linear } from './linear.ts';

useTestRuntime();

const none: DropoutChances = { network: 0, rank: 0, module: 0 };
const draw: DropoutDraw = { ...none, salt: 5, sampleRows: 10, moduleRanks: 4 };

describe('dropout of a linear branch', () => {
  test.each<DropoutChances>([
    { ...none, network: 0.4 },
    { ...none, rank: 0.5 },
    { ...none, module: 0.5 },
    { network: 0.2, rank: 0.3, module: 0.3 },
  ])('$network, $rank, $module', async (chances) => {
    const [groups, rank, inFeatures, outFeatures] = [3, 3, 12, 24];
    await checkOp({
      inputs: {
        x: { shape: [2, 9, inFeatures], values: noise(2 * 9 * inFeatures, 1) },
        a: { shape: [groups * rank, inFeatures], values: noise(groups * rank * inFeatures, 2, 0.5) },
        b: { shape: [outFeatures, rank], values: noise(outFeatures * rank, 3, 0.5) },
      },
      f: ({ x, a, b }) =>
        linear(
          x!,
          { weight: packedWeights(noise(inFeatures * outFeatures, 4)), bias: null, inFeatures, outFeatures },
          {
            lora: {
              a: a!,
              b: b!,
              scale: tensor(Float32Array.from({ length: groups * rank }, (_, i) => 0.5 + i / 10)),
              groups,
              dropout: { chances, key: tensor([-1234567], [1], 'int32'), salt: 99 },
            },
          },
        ),
      atol: 1e-4,
      gradientAtol: 1e-3,
    });
  });

  test('reads the key at the time of the step', async () => {
    const key = (value: number) => tensor([value], [1], 'int32');
    const outputs = [key(1), key(1), key(2)].map((k) =>
      tidy(() =>
        linear(
          tensor(noise(400, 1), [100, 4]),
          { weight: packedWeights(new Float32Array(16)), bias: null, inFeatures: 4, outFeatures: 4 },
          {
            lora: {
              a: tensor(noise(8, 2), [2, 4]),
              b: tensor(noise(8, 3), [4, 2]),
              scale: tensor([1, 1]),
              groups: 1,
              dropout: { chances: { ...none, network: 0.5 }, key: k, salt: 1 },
            },
          },
        ),
      ),
    );
    const [first, again, other] = await Promise.all(outputs.map(readTensor));
    expect(again).toEqual(first);
    expect(other).not.toEqual(first);
  });
});

describe('what is dropped', () => {
  test('elements: the share asked for, the rest scaled by its inverse, neighbours independent', () => {
    const factors = dropoutFactors({ ...draw, network: 0.25 }, 7, 5000, 8);
    const kept = factors.filter((factor) => factor !== 0);
    expect(kept.length / factors.length).toBeCloseTo(0.75, 2);
    expect(new Set(kept)).toEqual(new Set([Math.fround(1 / 0.75)]));
    let both = 0;
    for (let i = 0; i + 1 < factors.length; i++) if (factors[i] === 0 && factors[i + 1] === 0) both++;
    expect(both / factors.length).toBeCloseTo(0.0625, 2);
  });

  test('ranks: alike for all rows of an example', () => {
    const factors = dropoutFactors({ ...draw, rank: 0.5 }, 7, 2000, 8);
    for (let row = 0; row < 2000; row++) {
      const first = Math.floor(row / 10) * 10;
      expect(factors.subarray(row * 8, row * 8 + 8)).toEqual(factors.subarray(first * 8, first * 8 + 8));
    }
    const dropped = factors.filter((factor) => factor === 0).length / factors.length;
    expect(dropped).toBeGreaterThan(0.45);
    expect(dropped).toBeLessThan(0.55);
    expect(Math.max(...factors)).toBe(2);
  });

  test('modules: all their ranks of every row, unscaled; each module and each key for itself', () => {
    let dropped = 0;
    for (let key = 0; key < 1000; key++) {
      const factors = dropoutFactors({ ...draw, module: 0.3 }, key, 2, 8);
      const [left, right] = [factors[0]!, factors[4]!];
      expect(Array.from(factors)).toEqual(
        [...Array(4).fill(left), ...Array(4).fill(right)].concat([...Array(4).fill(left), ...Array(4).fill(right)]),
      );
      expect([0, 1]).toContain(left);
      dropped += Number(left === 0) + Number(right === 0);
    }
    expect(dropped / 2000).toBeGreaterThan(0.27);
    expect(dropped / 2000).toBeLessThan(0.33);
  });

  test('another key or salt drops others', () => {
    const [a, b, c] = [
      dropoutFactors({ ...draw, network: 0.5 }, 1, 100, 4),
      dropoutFactors({ ...draw, network: 0.5 }, 2, 100, 4),
      dropoutFactors({ ...draw, salt: 6, network: 0.5 }, 1, 100, 4),
    ];
    for (const other of [b, c]) {
      const agreeing = a.filter((factor, i) => factor === other[i]).length / a.length;
      expect(agreeing).toBeGreaterThan(0.4);
      expect(agreeing).toBeLessThan(0.6);
    }
  });
});

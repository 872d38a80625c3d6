// Plan: adding up adapters of different layers, ranks, alphas and weights gives the sum of their changes; a lower rank loses what the
// singular values say and no more than any other choice; every kind that has a low rank is brought there; what cannot be is refused.
import { describe, expect, test } from 'vitest';
import { expectClose } from '../../tools/testing.ts';
import { asWeightChange, denseChange } from '../formats/lora/products.ts';
import type { LoraModule, Product, WeightChange } from '../formats/lora/types.ts';
import { combineLoras, CombineError, type Lora } from './combine.ts';
import { TorchGenerator } from '../core/rng.ts';

const [out, inputs] = [10, 6];

function numbers(size: number, seed: number): Float32Array {
  return new TorchGenerator(seed).rand(size).map((u) => u - 0.5);
}

function pair(module: string, rank: number, alpha: number, seed: number): LoraModule {
  return {
    module,
    target: 'unet',
    rank,
    alpha,
    inFeatures: inputs,
    outFeatures: out,
    down: numbers(rank * inputs, seed),
    up: numbers(out * rank, seed + 1),
  };
}

const product = (rank: number, seed: number): Product => ({
  a: numbers(out * rank, seed),
  b: numbers(rank * inputs, seed + 1),
  rank,
});
const layer = { target: 'unet', inFeatures: inputs, outFeatures: out } as const;
const lora = (modules: readonly LoraModule[], changes: readonly WeightChange[] = []): Lora => ({ modules, changes });

/** The change of a module in an adapter. */
function changeOf({ modules, changes }: Lora, name: string): Float32Array {
  const found = [...modules.map(asWeightChange), ...changes].filter(({ module }) => module === name);
  expect(found).toHaveLength(1);
  return denseChange(found[0]!);
}

function weighted(parts: readonly (readonly [Float32Array, number])[]): Float32Array {
  return parts[0]![0].map((_, i) => parts.reduce((sum, [values, weight]) => sum + values[i]! * weight, 0));
}

const norm = (values: ArrayLike<number>): number => Math.hypot(...Array.from(values));

describe('merging', () => {
  const [a, b] = [lora([pair('x', 2, 1, 1), pair('y', 2, 1, 3)]), lora([pair('x', 3, 6, 5), pair('z', 3, 3, 7)])];

  test('is the sum, exactly, where no rank is asked for', () => {
    const {
      lora: merged,
      layers,
      error,
    } = combineLoras(
      [
        { lora: a, weight: 0.8 },
        { lora: b, weight: -0.5 },
      ],
      null,
    );
    expect(error).toBe(0);
    expect(layers.map(({ module, ranks }) => [module, ranks])).toEqual([
      ['x', [5, 5]],
      ['y', [2, 2]],
      ['z', [3, 3]],
    ]);
    expectClose(
      changeOf(merged, 'x'),
      weighted([
        [changeOf(a, 'x'), 0.8],
        [changeOf(b, 'x'), -0.5],
      ]),
      1e-6,
    );
    expectClose(changeOf(merged, 'y'), weighted([[changeOf(a, 'y'), 0.8]]), 1e-6);
    expectClose(changeOf(merged, 'z'), weighted([[changeOf(b, 'z'), -0.5]]), 1e-6);
  });

  test('what cancels leaves nothing', () => {
    const { lora: merged, error } = combineLoras(
      [
        { lora: a, weight: 1 },
        { lora: a, weight: -1 },
      ],
      2,
    );
    expect(norm(changeOf(merged, 'x'))).toBeLessThan(1e-6);
    expect(error).toBeLessThan(1e-6);
  });

  test('biases add up', () => {
    const change: WeightChange = { ...layer, module: 'x', delta: null, scale: 1, bias: numbers(out, 9) };
    const { lora: merged } = combineLoras(
      [
        { lora: a, weight: 1 },
        { lora: lora([], [change]), weight: 2 },
      ],
      null,
    );
    expectClose(
      merged.changes[0]!.bias!,
      change.bias!.map((value) => 2 * value),
      1e-6,
    );
    expectClose(changeOf(merged, 'x'), changeOf(a, 'x'), 1e-6);
  });
});

describe('a lower rank', () => {
  test('reports what it loses; the rank that there is loses nothing', () => {
    const original = lora([pair('x', 5, 2, 11)]);
    const before = changeOf(original, 'x');
    const errors = [1, 2, 3, 4].map((rank) => {
      const { lora: small, layers, error } = combineLoras([{ lora: original, weight: 1 }], rank);
      expect(layers[0]).toMatchObject({ module: 'x', ranks: [5, rank] });
      const difference = weighted([
        [before, 1],
        [changeOf(small, 'x'), -1],
      ]);
      expect(norm(difference) / norm(before)).toBeCloseTo(error, 5);
      expect(layers[0]!.error).toBeCloseTo(error, 12);
      return error;
    });
    expect(errors).toEqual([...errors].sort((x, y) => y - x));
    const same = combineLoras([{ lora: original, weight: 1 }], 5);
    expect(same.error).toBe(0);
    expectClose(changeOf(same.lora, 'x'), before, 1e-6);
  });

  test('a matrix of rank 2 written at rank 6 comes back to 2 without loss', () => {
    const thin = pair('x', 2, 2, 13);
    const wide = combineLoras(
      [0.5, 0.25, 0.25].map((weight) => ({ lora: lora([thin]), weight })),
      null,
    ).lora;
    expect(wide.modules[0]!.rank).toBe(6);
    const { lora: back, error } = combineLoras([{ lora: wide, weight: 1 }], 2);
    expect(error).toBeLessThan(1e-6);
    expectClose(changeOf(back, 'x'), changeOf(lora([thin]), 'x'), 1e-6);
  });
});

describe('other kinds', () => {
  const loha: WeightChange = {
    ...layer,
    module: 'x',
    delta: { kind: 'hadamard', first: product(2, 20), second: product(2, 22) },
    scale: 0.5,
  };
  const lokr: WeightChange = {
    ...layer,
    module: 'x',
    scale: 2,
    delta: {
      kind: 'kronecker',
      left: numbers(4, 24),
      rows: 2,
      columns: 2,
      right: numbers((out / 2) * (inputs / 2), 25),
    },
  };
  const full: WeightChange = {
    ...layer,
    module: 'x',
    delta: { kind: 'full', values: numbers(out * inputs, 26) },
    scale: 1,
  };

  test('LoHa is a low-rank pair of the product of its ranks, exactly', () => {
    const { lora: plain, error, layers } = combineLoras([{ lora: lora([], [loha]), weight: 3 }], null);
    expect([error, layers[0]!.ranks]).toEqual([0, [4, 4]]);
    expectClose(
      changeOf(plain, 'x'),
      denseChange(loha).map((value) => 3 * value),
      1e-6,
    );
  });

  test.each([
    ['LoKr', lokr],
    ['a full difference', full],
  ])('%s needs a rank; the full one loses nothing', (_name, change) => {
    const input = [{ lora: lora([], [change]), weight: 1 }];
    expect(() => combineLoras(input, null)).toThrow(CombineError);
    const whole = combineLoras(input, inputs);
    expectClose(changeOf(whole.lora, 'x'), denseChange(change), 1e-5);
    expect(whole.error).toBeLessThan(1e-5);
    const small = combineLoras(input, 2);
    const difference = weighted([
      [denseChange(change), 1],
      [changeOf(small.lora, 'x'), -1],
    ]);
    expect(norm(difference) / norm(denseChange(change))).toBeCloseTo(small.error, 5);
  });

  test('DoRA is refused', () => {
    const dora: WeightChange = { ...loha, magnitude: { axis: 'output', values: numbers(out, 27) } };
    expect(() => combineLoras([{ lora: lora([], [dora]), weight: 1 }], 4)).toThrow('x is a DoRA');
  });
});

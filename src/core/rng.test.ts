/**
 * Plan: every draw that the oracle recorded from torch (each kind alone, all kinds from one generator, seeds beyond 32 bits), then
 * that derived seeds are stable, differ by every argument, and spread evenly.
 */
import { describe, expect, it } from 'vitest';
import { expectClose, golden, oracleCases } from '../../tools/testing.ts';
import { InvariantError } from './errors.ts';
import { deriveSeed, TorchGenerator } from './rng.ts';

describe('TorchGenerator', () => {
  it.each(oracleCases('rng/randn-'))('draws normals as torch does: $id', async (c) => {
    for (const role of Object.keys(c.roles)) {
      const [, shapeText, part] = role.split('.') as [string, string, string | undefined];
      const drawn = new TorchGenerator(c.params['seed'] as number).randn(shapeText.split('x').map(Number));
      const picked = part === 'first64' ? drawn.slice(0, 64) : part === 'last64' ? drawn.slice(-64) : drawn;
      const { values, atol } = await golden(c, role);
      expectClose(picked, values, atol, role);
    }
  });

  it.each(oracleCases('rng/ints-'))('draws uniforms, integers and permutations exactly: $id', async (c) => {
    const seed = c.params['seed'] as number;
    expect(new TorchGenerator(seed).rand(17)).toEqual((await golden(c, 'rand')).values);
    expect([...new TorchGenerator(seed).randint(20, 1000)]).toEqual([...(await golden(c, 'randint')).values]);
    expect([...new TorchGenerator(seed).randperm(10)]).toEqual([...(await golden(c, 'randperm')).values]);
  });

  it.each(oracleCases('rng/sequence-'))('keeps its state between draws: $id', async (c) => {
    const generator = new TorchGenerator(c.params['seed'] as number);
    const draws = c.params['draws'] as readonly (readonly ['randn' | 'rand' | 'randint', number])[];
    const drawn = draws.flatMap(([kind, n]) => [
      ...(kind === 'randint' ? generator.randint(n, 1000) : generator[kind](n)),
    ]);
    const { values, atol } = await golden(c, 'sequence');
    expectClose(drawn, values, atol);
  });

  it('draws a batch from one generator an image', async () => {
    const [c] = oracleCases('rng/randn_tensor');
    const { values, atol } = await golden(c!, 'two_generators');
    const drawn = [42, 43].flatMap((seed) => [...new TorchGenerator(seed).randn([1, 4, 8, 8])]);
    expectClose(drawn, values, atol);
  });

  it('refuses a seed that is no integer and a bound that is none', () => {
    expect(() => new TorchGenerator(0.5)).toThrow(InvariantError);
    expect(() => new TorchGenerator(1).randint(1, 0)).toThrow(InvariantError);
  });
});

describe('deriveSeed', () => {
  it('is pinned: a change would change every training run', () => {
    expect([deriveSeed(42), deriveSeed(42, 'noise', 0), deriveSeed(42, 'noise', 1)]).toEqual([
      3608302306, 214301296, 3235012069,
    ]);
  });

  it('differs by every argument, their order, and where labels are cut', () => {
    const seeds = [
      deriveSeed(1, 'a', 2),
      deriveSeed(2, 'a', 1),
      deriveSeed(1, 'a', 2 + 2 ** 32),
      deriveSeed(1, 'a', '2'),
      deriveSeed(1, 2, 'a'),
      deriveSeed(1, 'ab', 'c'),
      deriveSeed(1, 'a', 'bc'),
      deriveSeed(1, 'abc'),
      deriveSeed(1),
      deriveSeed(-1),
    ];
    expect(new Set(seeds).size).toBe(seeds.length);
  });

  it('spreads steps evenly over 32 bits', () => {
    const buckets = new Uint32Array(64);
    const seeds = new Set<number>();
    for (let step = 0; step < 6400; step++) {
      const seed = deriveSeed(7, 'timestep', step);
      seeds.add(seed);
      buckets[seed >>> 26]!++;
    }
    expect(seeds.size).toBe(6400);
    // 100 a bucket are expected; 5 standard deviations to each side.
    expect(Math.min(...buckets)).toBeGreaterThan(50);
    expect(Math.max(...buckets)).toBeLessThan(150);
  });
});

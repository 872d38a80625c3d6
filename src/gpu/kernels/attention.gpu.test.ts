// Plan: output and gradients against the textbook's attention (whose gradients are checked by central differences) for every
// head size that a model we know has, and for 12, 28 and 44 (a thread a row, and columns that do not divide evenly among
// threads), with several heads and samples, token counts that fill no tile, self and cross, with and without the causal mask;
// scores far apart, where exp would overflow; only the gradients that are asked for; and clear errors for head sizes that are
// not supported. As a real GPU computes them, and again those for which a software GPU takes other kernels.
import { tensor } from '@tensorflow/tfjs-core';
import { describe, expect, test, vi } from 'vitest';
import { vjp } from '../gradients.ts';
import { runtime } from '../runtime.ts';
import { checkOp, noise, useTestRuntime } from '../testing.ts';
import { crossAttention, selfAttention } from './attention.ts';

// Lavapipe takes seconds to compile each of these kernels, and much longer where other work has the cores.
vi.setConfig({ testTimeout: 300_000 });

interface Case {
  readonly depth: number;
  readonly n: number;
  readonly heads: number;
  readonly lq: number;
  readonly lk: number;
}

interface SelfCase extends Case {
  readonly causal?: boolean;
  readonly scale?: number;
}

const self: SelfCase[] = [
  { depth: 4, n: 2, heads: 3, lq: 9, lk: 9 },
  { depth: 8, n: 1, heads: 8, lq: 64, lk: 64 },
  { depth: 16, n: 2, heads: 2, lq: 33, lk: 33, causal: true },
  { depth: 20, n: 1, heads: 2, lq: 17, lk: 17 },
  { depth: 28, n: 1, heads: 1, lq: 11, lk: 11 },
  { depth: 32, n: 2, heads: 1, lq: 300, lk: 300, causal: true },
  { depth: 40, n: 2, heads: 2, lq: 130, lk: 130 },
  { depth: 44, n: 1, heads: 2, lq: 5, lk: 5 },
  { depth: 12, n: 1, heads: 2, lq: 6, lk: 6 },
  { depth: 64, n: 1, heads: 2, lq: 77, lk: 77, causal: true },
  { depth: 80, n: 1, heads: 2, lq: 36, lk: 36 },
  { depth: 160, n: 2, heads: 1, lq: 21, lk: 21 },
  { depth: 40, n: 1, heads: 1, lq: 1, lk: 1 },
  { depth: 8, n: 1, heads: 2, lq: 40, lk: 40, scale: 40 },
  { depth: 40, n: 1, heads: 1, lq: 30, lk: 30, scale: 20, causal: true },
];
const cross: Case[] = [
  { depth: 4, n: 1, heads: 2, lq: 1, lk: 77 },
  { depth: 20, n: 2, heads: 3, lq: 64, lk: 77 },
  { depth: 40, n: 2, heads: 2, lq: 64, lk: 77 },
  { depth: 64, n: 1, heads: 1, lq: 7, lk: 1 },
  { depth: 80, n: 1, heads: 2, lq: 20, lk: 77 },
  { depth: 160, n: 1, heads: 2, lq: 9, lk: 77 },
];
function testSelf({ depth, n, heads, lq, causal = false, scale = 1 }: SelfCase): void {
  test(`selfAttention: head size ${depth}, ${n} x ${heads} heads x ${lq} tokens, causal ${causal}, scale ${scale}`, async () => {
    const shape = [n, lq, 3 * heads * depth];
    await checkOp({
      inputs: { qkv: { shape, values: noise(n * lq * 3 * heads * depth, 1, scale) } },
      f: ({ qkv }) => selfAttention(qkv!, { heads, causal }),
      // Errors of a score grow with its size, those of the output with the values'.
      atol: scale > 1 ? 3e-6 * scale ** 2 : 2e-6,
      gradientAtol: scale > 1 ? 1e-5 * scale ** 2 : 1e-5,
      ...(scale > 1 ? { epsilon: 1e-3, numericRtol: 5e-2 } : {}),
    });
  });
}

function testCross({ depth, n, heads, lq, lk }: Case): void {
  test(`crossAttention: head size ${depth}, ${n} x ${heads} heads, ${lq} queries, ${lk} keys`, async () => {
    const channels = heads * depth;
    await checkOp({
      inputs: {
        q: { shape: [n, lq, channels], values: noise(n * lq * channels, 1) },
        kv: { shape: [n, lk, 2 * channels], values: noise(n * lk * 2 * channels, 2) },
      },
      f: ({ q, kv }) => crossAttention(q!, kv!, { heads }),
      atol: 2e-6,
      gradientAtol: 1e-5,
    });
  });
}

describe('on this device', () => {
  useTestRuntime();

  const onOtherKernels = ({ depth }: Case): boolean => depth <= 40 || depth === 80;
  self.filter(onOtherKernels).forEach(testSelf);
  cross.filter(onOtherKernels).forEach(testCross);

  test('crossAttention: computes only the gradient that is asked for', () => {
    const q = tensor(noise(8 * 16, 1), [1, 8, 16]);
    const kv = tensor(noise(5 * 32, 2), [1, 5, 32]);
    const dispatches = (xs: (typeof q)[]): number => {
      const tape = vjp(() => [crossAttention(q, kv, { heads: 2 })], xs);
      const before = runtime().counters.dispatches;
      tape.backward([tape.outputs[0]!]);
      return runtime().counters.dispatches - before;
    };
    expect(dispatches([q, kv])).toBe(3);
    expect(dispatches([q])).toBe(2);
    expect(dispatches([kv])).toBe(2);
  });

  test('attention: clear errors for head sizes that are not supported', () => {
    const qkv = (columns: number) => tensor(noise(2 * 3 * columns, 1), [1, 2, 3 * columns]);
    expect(() => selfAttention(qkv(12), { heads: 2 })).toThrow('attention: the head size must be a multiple of 4');
    expect(() => selfAttention(qkv(516), { heads: 1 })).toThrow('attention: the head size must be at most 512');
    const x = qkv(164);
    const tape = vjp(() => [selfAttention(x, { heads: 1 })], [x]);
    expect(() => tape.backward([tape.outputs[0]!])).toThrow('attention: gradients need a head size of at most 160');
  });
});

describe('as on a real GPU', () => {
  useTestRuntime({ asGpu: true });

  const onOtherKernels = ({ depth }: Case): boolean => depth > 16;
  self.filter(onOtherKernels).forEach(testSelf);
  cross.filter(onOtherKernels).forEach(testCross);

  test.each([
    [256, 50, 2],
    [512, 70, 1],
  ])('selfAttention: head size %i, forward only', async (depth, length, heads) => {
    await checkOp({
      inputs: { qkv: { shape: [1, length, 3 * heads * depth], values: noise(length * 3 * heads * depth, 1) } },
      f: ({ qkv }) => selfAttention(qkv!, { heads }),
      atol: 2e-6,
      gradientAtol: null,
    });
  });
});

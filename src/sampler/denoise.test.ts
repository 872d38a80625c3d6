// Plan: the loop's logic against sums done by hand, with a UNet of three multiplications: which rows go through it, what is guided, what
// a call that reuses is given, in one part and in several, from the middle of a walk too; default settings ask for nothing new; and
// whatever is kept is freed at the end, at an interruption, and where a call fails.
import { beforeEach, describe, expect, test, vi } from 'vitest';
import type { PromptEmbedding } from '../latents/embeddings.ts';
import type { UNet2DCondition } from '../models/unet.ts';
import type { Scheduler } from '../schedulers/types.ts';
import { denoise, type DenoiseOptions } from './denoise.ts';

const alive = vi.hoisted(() => new Set<object>());

interface FakeTensor {
  readonly values: Float32Array;
  readonly shape: readonly number[];
  dispose(): void;
}

const make = vi.hoisted(() => (values: ArrayLike<number>, shape: readonly number[]): FakeTensor => {
  const made: FakeTensor = { values: Float32Array.from(values), shape, dispose: () => void alive.delete(made) };
  alive.add(made);
  return made;
});

vi.mock('../gpu/ops.ts', () => ({
  tensor: make,
  readTensor: async ({ values }: FakeTensor) => values,
  tidy: <T>(run: () => T): T => {
    const before = new Set(alive);
    const result = run();
    for (const one of alive) if (!before.has(one) && one !== result) alive.delete(one);
    return result;
  },
  sliceSamples: ({ values, shape: [n = 1, ...rest] }: FakeTensor, from: number, count: number) =>
    make(values.slice((from * values.length) / n, ((from + count) * values.length) / n), [count, ...rest]),
  concatSamples: (xs: readonly FakeTensor[]) =>
    make(
      xs.flatMap(({ values }) => [...values]),
      [xs.reduce((sum, { shape: [n = 0] }) => sum + n, 0), ...xs[0]!.shape.slice(1)],
    ),
}));

beforeEach(() => alive.clear());

/** What the depth makes of a pixel, given a prompt's number and the timestep, and what the layers around it make of that. */
const depth = (x: number, prompt: number, t: number): number => Math.fround(prompt * x + t);
const around = (x: number, deep: number): number => Math.fround(deep - x / 4);

/** Records its calls: `W4` for a whole call of four rows, `K4` for one whose depth is kept, `s4` for one that reuses. */
function fakeUNet(rowsAtOnce = 64, failAt = Infinity): { readonly unet: UNet2DCondition; readonly calls: string[] } {
  const calls: string[] = [];
  const record = (kind: string, { shape: [n] }: FakeTensor): void => {
    if (calls.length === failAt) throw new Error('The GPU is gone');
    calls.push(`${kind}${n}`);
  };
  const deepOf = (sample: FakeTensor, timesteps: readonly number[], context: FakeTensor): FakeTensor => {
    const size = sample.values.length / timesteps.length;
    const values = sample.values.map((x, i) => {
      const row = Math.floor(i / size);
      return depth(x, context.values[row]!, timesteps[row]!);
    });
    return make(values, sample.shape);
  };
  const outputOf = (sample: FakeTensor, deep: FakeTensor): FakeTensor =>
    make(
      sample.values.map((x, i) => around(x, deep.values[i]!)),
      sample.shape,
    );
  const unet = {
    maxRows: () => rowsAtOnce,
    forward: (sample: FakeTensor, timesteps: readonly number[], context: FakeTensor) => {
      record('W', sample);
      const deep = deepOf(sample, timesteps, context);
      deep.dispose();
      return outputOf(sample, deep);
    },
    forwardKeeping: (sample: FakeTensor, timesteps: readonly number[], context: FakeTensor) => {
      record('K', sample);
      const deep = deepOf(sample, timesteps, context);
      return { output: outputOf(sample, deep), deep };
    },
    forwardShallow: (sample: FakeTensor, _timesteps: readonly number[], _context: FakeTensor, deep: FakeTensor) => {
      record('s', sample);
      expect(deep.shape[0]).toBe(sample.shape[0]);
      return outputOf(sample, deep);
    },
  };
  return { unet: unet as unknown as UNet2DCondition, calls };
}

const timesteps = [6, 5, 4, 3, 2, 1];
const scheduler = {
  timesteps,
  initNoiseSigma: 1,
  scaleModelInput: (sample: Float32Array) => sample,
  step: (output: Float32Array, _i: number, sample: Float32Array) => sample.map((x, j) => x - output[j]! / 8),
} as unknown as Scheduler;

const promptOf = (number: number): PromptEmbedding => ({ tokens: 1, width: 1, values: Float32Array.of(number) });
const [negative, prompt, other] = [promptOf(0.5), promptOf(2), promptOf(3)];
const scale = 3;

const walk = (unet: UNet2DCondition, changes: Partial<DenoiseOptions> = {}): Promise<Float32Array> =>
  denoise({
    unet,
    scheduler,
    noise: () => Float32Array.of(1, -2),
    shape: [1, 1, 2],
    promptEmbeds: prompt,
    negativePromptEmbeds: negative,
    guidanceScale: scale,
    ...changes,
  });

/** The same by hand, for one pixel: `plan` as in core/shortcuts.test.ts, `prompts` call by call. */
function byHand(x: number, plan: string, prompts = Array.from(plan, () => 2), from = 0): number {
  const kept = { negative: 0, prompt: 0 };
  for (const [call, kind] of plan.split('').entries()) {
    const t = timesteps[from + call]!;
    if (kind === 'G') kept.negative = depth(x, 0.5, t);
    if (kind === 'G' || kind === 'W') kept.prompt = depth(x, prompts[call]!, t);
    const [without, conditional] = [around(x, kept.negative), around(x, kept.prompt)];
    const guided = without + Math.fround(scale * Math.fround(conditional - without));
    x = Math.fround(x - Math.fround(kind.toLowerCase() === 'g' ? guided : conditional) / 8);
  }
  return x;
}

describe('denoise', () => {
  test.each<[string, Partial<DenoiseOptions>, string, string]>([
    ['in full', {}, 'GGGGGG', 'W2 W2 W2 W2 W2 W2'],
    ['without guidance', { guidanceScale: 1 }, 'WWWWWW', 'W1 W1 W1 W1 W1 W1'],
    ['guided in the middle', { guidanceStart: 0.1, guidanceEnd: 0.6 }, 'WGGGWW', 'W1 W2 W2 W2 W1 W1'],
    ['reusing by three', { reuseInterval: 3 }, 'GggGgg', 'K2 s2 s2 K2 s2 s2'],
    ['both', { guidanceStart: 0.1, guidanceEnd: 0.4, reuseInterval: 3 }, 'WGgwWw', 'W1 K2 s2 s1 K1 s1'],
  ])('%s: the sums done by hand', async (_name, changes, plan, calls) => {
    const fake = fakeUNet();
    const latents = await walk(fake.unet, changes);
    expect([...latents]).toEqual([byHand(1, plan), byHand(-2, plan)]);
    expect(fake.calls.join(' ')).toBe(calls);
    expect(alive.size).toBe(0);
  });

  test('a batch in parts: each row reuses its own depth, cut anew where guidance ends', async () => {
    const fake = fakeUNet(2);
    const latents = await walk(fake.unet, {
      count: 3,
      noise: () => Float32Array.of(1, -2, 3, -4, 5, -6),
      guidanceEnd: 0.4,
      reuseInterval: 4,
    });
    expect([...latents]).toEqual([1, -2, 3, -4, 5, -6].map((x) => byHand(x, 'GggwWw')));
    // Six rows in three parts; without guidance the prompt's three in two.
    expect(fake.calls.join(' ')).toBe('K2 K2 K2 s2 s2 s2 s2 s2 s2 s2 s1 K2 K1 s2 s1');
    expect(alive.size).toBe(0);
  });

  test('from the middle of a walk, shares are of the calls that are left', async () => {
    const fake = fakeUNet();
    const start = { latents: Float32Array.of(1, -2), from: 2 };
    const latents = await walk(fake.unet, { start, guidanceEnd: 0.5, reuseInterval: 2 });
    expect([...latents]).toEqual([1, -2].map((x) => byHand(x, 'GgWw', undefined, 2)));
  });

  test('where the prompt changes, nothing is reused', async () => {
    const fake = fakeUNet();
    const promptEmbeds = (call: number): PromptEmbedding => (call < 2 ? prompt : other);
    const latents = await walk(fake.unet, { promptEmbeds, reuseInterval: 4 });
    expect([...latents]).toEqual([1, -2].map((x) => byHand(x, 'GgGggg', [2, 2, 3, 3, 3, 3])));
  });

  test('what was kept is freed where the walk is interrupted, aborted or fails', async () => {
    await walk(fakeUNet().unet, { reuseInterval: 3, interrupted: () => true });
    expect(alive.size).toBe(0);
    const controller = new AbortController();
    const aborted = walk(fakeUNet().unet, {
      reuseInterval: 3,
      signal: controller.signal,
      onStep: () => controller.abort(),
    });
    await expect(aborted).rejects.toThrow('aborted');
    expect(alive.size).toBe(0);
    await expect(walk(fakeUNet(64, 2).unet, { reuseInterval: 3 })).rejects.toThrow('The GPU is gone');
    expect(alive.size).toBe(0);
  });
});

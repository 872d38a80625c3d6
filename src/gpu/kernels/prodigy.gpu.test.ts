// Plan: twenty steps against a plain double-precision Prodigy over one page and two, on the GPU and on the CPU reference, with each of its
// switches; d grows; a rate of 0 and a step that is not applied change nothing; nothing leaks.
import { memory, setBackend } from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import { expectClose, noise, useTestRuntime } from '../testing.ts';
import { disposePage, factorsOf, makePage, reportOf, valuesOf, withGradients } from './optimizerTesting.ts';
import { pageBlock } from './parameterPage.ts';
import { createProdigyState, prodigyStep, type ProdigyStep } from './prodigy.ts';

useTestRuntime();

const defaults = {
  learningRate: 1,
  beta1: 0.9,
  beta2: 0.99,
  epsilon: 1e-8,
  weightDecay: 0.01,
  initialD: 1e-3,
  dCoefficient: 1,
  biasCorrection: false,
  safeguardWarmup: false,
};

/** The gradient of a quadratic around 2: D has something to find. */
const gradientOf = (value: number, i: number): number => (value - 2) * (1 + (i % 7));

/** prodigyopt/prodigy.py, `step`, in double precision, for gradients scaled by a half. */
function plainProdigy(
  sizes: readonly number[],
  options: typeof defaults,
  steps: number,
): { values: number[]; d: number } {
  const { learningRate, beta1, beta2, epsilon, weightDecay, initialD, dCoefficient } = options;
  const factors = sizes.flatMap((blocks) => Array.from(factorsOf(blocks)));
  const p = sizes.flatMap((blocks, i) => Array.from(noise(blocks * pageBlock, i)));
  const start = [...p];
  const [m, v, s] = [p.map(() => 0), p.map(() => 0), p.map(() => 0)];
  const beta3 = Math.sqrt(beta2);
  let [d, dMax, numerator] = [initialD, initialD, 0];
  for (let step = 1; step <= steps; step++) {
    const correction = options.biasCorrection ? Math.sqrt(1 - beta2 ** step) / (1 - beta1 ** step) : 1;
    let denominator = 0;
    numerator *= beta3;
    const used = d;
    p.forEach((value, i) => {
      const dlr = used * learningRate * correction * factors[Math.floor(i / pageBlock)]!;
      const gradient = gradientOf(Math.fround(value), i) / 2;
      numerator += (used / initialD) * dlr * gradient * (start[i]! - value);
      m[i] = beta1 * m[i]! + used * (1 - beta1) * gradient;
      v[i] = beta2 * v[i]! + used * used * (1 - beta2) * gradient * gradient;
      s[i] = beta3 * s[i]! + (used / initialD) * (options.safeguardWarmup ? used : dlr) * gradient;
      denominator += Math.abs(s[i]);
    });
    const estimate = (dCoefficient * numerator) / denominator;
    if (d === initialD) d = Math.max(d, estimate);
    dMax = Math.max(dMax, estimate);
    d = dMax;
    p.forEach((value, i) => {
      const dlr = used * learningRate * correction * factors[Math.floor(i / pageBlock)]!;
      const decayed = value - weightDecay * dlr * value;
      p[i] = decayed - (dlr * m[i]!) / (Math.sqrt(v[i]!) + d * epsilon);
    });
  }
  return { values: p, d };
}

async function run(
  backend: string,
  sizes: readonly number[],
  options: typeof defaults,
  steps: number,
): Promise<{ values: number[]; d: number }> {
  await setBackend(backend);
  let pages = sizes.map((blocks, i) => makePage(blocks, i));
  const state = createProdigyState(pages, options.initialD);
  const [yes, no] = [reportOf(0.5), reportOf(0)];
  for (let step = 1; step <= steps; step++) {
    let offset = 0;
    const next = [];
    for (const page of pages) {
      const values = await valuesOf(page.values);
      const at = offset;
      next.push(
        withGradients(
          page,
          values.map((value, i) => gradientOf(value, at + i)),
        ),
      );
      offset += values.length;
    }
    pages = next;
    const at: ProdigyStep = { ...options, step };
    if (step === 3) {
      prodigyStep(pages, state, no, at);
      prodigyStep(pages, state, yes, { ...at, learningRate: 0 });
    }
    prodigyStep(pages, state, yes, at);
  }
  const values: number[] = [];
  for (const page of pages) values.push(...(await valuesOf(page.values)));
  const [d = 0] = await valuesOf(state.scalars);
  for (const page of pages) disposePage(page);
  for (const t of [...state.moments, state.scalars, yes, no]) t.dispose();
  return { values, d };
}

describe.each(['cpu', 'webgpu'])('prodigyStep on %s', (backend) => {
  test.each<[string, readonly number[], Partial<typeof defaults>]>([
    ['one page', [3], {}],
    ['two pages', [1, 4], {}],
    ['bias correction', [2], { biasCorrection: true }],
    ['a safeguarded warm-up', [2], { safeguardWarmup: true }],
    ['a coefficient of 2, a rate of 0.5', [2], { dCoefficient: 2, learningRate: 0.5 }],
  ])('%s: equals a plain Prodigy after twenty steps', async (_, sizes, changes) => {
    const options = { ...defaults, ...changes };
    await setBackend(backend);
    const before = memory().numTensors;
    const actual = await run(backend, sizes, options, 20);
    const expected = plainProdigy(sizes, options, 20);
    expectClose([actual.d / expected.d], [1], 1e-3, 'd');
    expect(actual.d).toBeGreaterThan(3 * options.initialD);
    expectClose(actual.values, expected.values, 2e-4, 'values');
    expect(memory().numTensors).toBe(before);
  });
});

// Plan: ten steps against a plain double-precision Adafactor over matrices of LoRA's shapes and a vector, on the GPU and on the CPU reference,
// with each of its switches; a step that is not applied changes nothing; nothing leaks.
import { memory, setBackend } from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import { expectClose, noise, useTestRuntime } from '../testing.ts';
import { adafactorStep, createAdafactorState, type PageMatrix } from './adafactor.ts';
import { disposePage, gradientsAt, makePage, reportOf, valuesOf, withGradients } from './optimizerTesting.ts';
import { pageBlock } from './parameterPage.ts';

useTestRuntime();

/** A of rank 4, B, a vector: each padded to whole blocks. */
const matrices: PageMatrix[] = [
  { offset: 0, rows: 4, columns: 150, factor: 1 },
  { offset: 3 * pageBlock, rows: 90, columns: 4, factor: 0.5 },
  { offset: 5 * pageBlock, rows: 70, columns: 1, factor: 1 },
];
const blocks = 6;
const size = blocks * pageBlock;

const defaults = {
  learningRate: 1e-2,
  beta1: 0,
  epsilon: 1e-30,
  weightDecay: 0,
  scaleParameter: false,
  relativeStep: false,
};

const rms = (values: readonly number[]): number => Math.sqrt(values.reduce((sum, x) => sum + x * x, 0) / values.length);
const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length;

/** transformers/optimization.py, `Adafactor.step`, in double precision, for gradients scaled by a half. */
function plainAdafactor(options: typeof defaults): number[][] {
  const initial = noise(size, 1);
  return matrices.map(({ offset, rows, columns, factor }) => {
    const at = Array.from({ length: rows * columns }, (_, k) => offset + k);
    const p = at.map((i) => initial[i]!);
    const rowMeans = Array.from({ length: rows }, () => 0);
    const columnMeans = Array.from({ length: columns }, () => 0);
    const unfactored = at.map(() => 0);
    const momentum = at.map(() => 0);
    for (let step = 1; step <= 10; step++) {
      const all = gradientsAt(size, step);
      const gradient = at.map((i) => all[i]! / 2);
      const base = options.relativeStep ? Math.min(1e-2, 1 / Math.sqrt(step)) : options.learningRate;
      const rate = factor * base * (options.scaleParameter ? Math.max(1e-3, rms(p)) : 1);
      const beta2 = 1 - step ** -0.8;
      const squares = gradient.map((g) => g * g + options.epsilon);
      let update: number[];
      if (columns > 1) {
        rowMeans.forEach((before, r) => {
          rowMeans[r] = beta2 * before + (1 - beta2) * mean(squares.slice(r * columns, (r + 1) * columns));
        });
        columnMeans.forEach((before, c) => {
          columnMeans[c] = beta2 * before + (1 - beta2) * mean(squares.filter((_, k) => k % columns === c));
        });
        const whole = mean(rowMeans);
        update = gradient.map(
          (g, k) => g / Math.sqrt(rowMeans[Math.floor(k / columns)]! / whole) / Math.sqrt(columnMeans[k % columns]!),
        );
      } else {
        squares.forEach((square, k) => (unfactored[k] = beta2 * unfactored[k]! + (1 - beta2) * square));
        update = gradient.map((g, k) => g / Math.sqrt(unfactored[k]!));
      }
      const clip = Math.max(1, rms(update));
      update.forEach((value, k) => {
        let change = (value / clip) * rate;
        if (options.beta1 > 0) change = momentum[k] = options.beta1 * momentum[k]! + (1 - options.beta1) * change;
        p[k]! -= options.weightDecay * rate * p[k]! + change;
      });
    }
    return p;
  });
}

async function run(options: typeof defaults): Promise<Float32Array> {
  let page = makePage(blocks, 1);
  const state = createAdafactorState(page, matrices, options);
  const [yes, no] = [reportOf(0.5), reportOf(0)];
  for (let step = 1; step <= 10; step++) {
    page = withGradients(page, gradientsAt(size, step));
    if (step === 5) adafactorStep(page, state, no, { ...options, step });
    adafactorStep(page, state, yes, { ...options, step });
  }
  const values = await valuesOf(page.values);
  disposePage(page);
  for (const t of [state.means, state.momentum, state.lines, state.table, yes, no]) t.dispose();
  return values;
}

describe.each(['cpu', 'webgpu'])('adafactorStep on %s', (backend) => {
  test.each<[string, Partial<typeof defaults>]>([
    ['a rate of its own', {}],
    ['scaled by the parameter, relative step', { scaleParameter: true, relativeStep: true }],
    ['momentum and decay', { beta1: 0.9, weightDecay: 0.1 }],
  ])('%s: equals a plain Adafactor after ten steps', async (_, changes) => {
    await setBackend(backend);
    const before = memory().numTensors;
    const options = { ...defaults, ...changes };
    const values = await run(options);
    const expected = plainAdafactor(options);
    matrices.forEach(({ offset, rows, columns }, m) => {
      const own = values.subarray(offset, offset + rows * columns);
      expectClose(own, expected[m]!, 1e-5, `matrix ${m}`);
    });
    // What pads the last block of a matrix is nobody's.
    expect(values.subarray(600, 768)).toEqual(noise(size, 1).subarray(600, 768));
    expect(memory().numTensors).toBe(before);
  });
});

/**
 * The plan: full-size SD1.5 at 512 px stays within the memory and the number of dispatches that we promise, with each option. Bytes and
 * counts are the same on every machine; times are not looked at.
 */
import { afterAll, expect, test } from 'vitest';
import { defined } from '../src/core/invariant.ts';
import { stopRuntime } from '../src/gpu/runtime.ts';
import { benchMemory } from './memory.ts';

afterAll(() => {
  stopRuntime();
});

test('SD1.5 at 512 px within its bytes and dispatches', { timeout: 600_000 }, async () => {
  const { training, decode, encode } = await benchMemory();
  const of = (weights: string, activations: string, batchSize: number) =>
    defined(
      training.find((c) => c.weights === weights && c.activations === activations && c.report.batchSize === batchSize),
    ).report;
  const { weightBytes, forward, step } = of('f16', 'f32', 1);
  // 859.5 million weights, nearly all as f16.
  expect(weightBytes).toBeGreaterThan(1.71e9);
  expect(weightBytes).toBeLessThan(1.73e9);
  expect(step.peakBytes).toBeLessThanOrEqual(2.5e9);
  expect(step.dispatches).toBeLessThanOrEqual(1900);
  expect(step.submits).toBeLessThanOrEqual(step.dispatches / 40);
  // Nothing is left behind by a step but the weights, the adapter and its moments.
  expect(step.liveBytes - weightBytes).toBeLessThan(20e6);
  expect(of('f16', 'f32', 2).step.peakBytes).toBeLessThanOrEqual(2.9e9);
  expect(of('f16', 'f16', 1).step.peakBytes).toBeLessThan(step.peakBytes);

  // Inference, with guidance as a batch of two, and the decoder beside the UNet.
  for (const pass of [forward, of('f16', 'f32', 2).forward, decode, encode]) {
    expect(pass.peakBytes).toBeLessThanOrEqual(2.2e9);
  }

  const int8 = of('int8', 'f32', 1);
  // 8.5 bits a weight.
  expect(int8.weightBytes).toBeLessThan(0.55 * weightBytes);
  expect(int8.step.peakBytes).toBeLessThanOrEqual(1.7e9);
});

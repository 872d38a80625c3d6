/**
 * The plan: a full-size SD1.5 training step stays within the memory and the number of dispatches that we promise. Bytes and
 * counts are the same on every machine; times are not looked at.
 */
import { afterAll, expect, test } from 'vitest';
import { stopRuntime } from '../src/gpu/runtime.ts';
import { benchMemory } from './memory.ts';

afterAll(() => {
  stopRuntime();
});

test('one SD1.5 step at 512 px needs at most 2.6 GB and 2,000 dispatches', { timeout: 600_000 }, async () => {
  const { weightBytes, forward, step } = await benchMemory();
  // 859.5 million weights, nearly all as f16.
  expect(weightBytes).toBeGreaterThan(1.71e9);
  expect(weightBytes).toBeLessThan(1.73e9);
  expect(step.peakBytes).toBeLessThanOrEqual(2.6e9);
  expect(step.dispatches).toBeLessThanOrEqual(2000);
  expect(step.submits).toBeLessThanOrEqual(step.dispatches / 40);
  expect(forward.peakBytes).toBeLessThan(step.peakBytes);
  // Nothing is left behind by a step but the weights, the adapter and its moments.
  expect(step.liveBytes - weightBytes).toBeLessThan(20e6);
});

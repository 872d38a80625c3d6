// Plan: values that were computed by hand from the formulae of diffusers' get_scheduler, at the warm-up's and the run's edges.
import { describe, expect, test } from 'vitest';
import { defaultLrScheduler, learningRateAt, warmupStepsOf } from './learningRate.ts';
import type { LrSchedulerOptions } from './trainOptions.ts';

function rates(
  lrScheduler: LrSchedulerOptions,
  steps: readonly number[],
  maxTrainSteps = 10,
  learningRate = 1,
): number[] {
  return steps.map((step) => learningRateAt({ lrScheduler, maxTrainSteps, learningRate }, step));
}

const expectRates = (actual: readonly number[], expected: readonly number[]): void => {
  expect(actual).toHaveLength(expected.length);
  actual.forEach((value, i) => expect(value).toBeCloseTo(expected[i]!, 12));
};

describe('learningRateAt', () => {
  test('constant ignores the warm-up', () =>
    expectRates(rates(defaultLrScheduler('constant', 5), [0, 3, 9]), [1, 1, 1]));

  test('warm-up rises from 0', () =>
    expectRates(rates(defaultLrScheduler('constantWithWarmup', 4), [0, 1, 3, 4, 9]), [0, 0.25, 0.75, 1, 1]));

  test('a warm-up below 1 is a share of the steps, cut off', () => {
    const scheduler = defaultLrScheduler('constantWithWarmup', 0.45);
    expect([10, 9, 2].map((total) => warmupStepsOf(scheduler, total))).toEqual([4, 4, 0]);
    expect(warmupStepsOf(defaultLrScheduler('constant', 0.5), 10)).toBe(0);
    expectRates(rates(scheduler, [0, 1, 3, 4, 9]), [0, 0.25, 0.75, 1, 1]);
  });

  test('linear falls to 0 at the end', () =>
    expectRates(rates(defaultLrScheduler('linear', 2), [0, 1, 2, 6, 9, 10]), [0, 0.5, 1, 0.5, 0.125, 0]));

  test('cosine: half a wave', () =>
    expectRates(rates(defaultLrScheduler('cosine', 2), [0, 1, 2, 4, 6, 8, 9], 10, 1e-3), [
      0,
      5e-4,
      1e-3,
      1e-3 * 0.8535533905932737,
      5e-4,
      1e-3 * 0.14644660940672624,
      1e-3 * 0.03806023374435663,
    ]));

  test('cosine with restarts: three falls', () =>
    expectRates(
      rates({ ...defaultLrScheduler('cosineWithRestarts'), cycles: 3 }, [0, 1, 2, 3, 4, 6, 7, 12], 12),
      [1, 0.8535533905932737, 0.5, 0.14644660940672624, 1, 0.5, 0.14644660940672624, 0],
    ));

  test('polynomial, squared, ends at 1e-7', () =>
    expectRates(rates({ ...defaultLrScheduler('polynomial', 2), power: 2 }, [1, 2, 6, 10, 11], 10, 1e-3), [
      5e-4,
      1e-3,
      (1e-3 - 1e-7) * 0.25 + 1e-7,
      1e-7,
      1e-7,
    ]));

  test('a run no longer than its warm-up does not divide by zero', () =>
    expectRates(rates(defaultLrScheduler('cosine', 10), [0, 9, 10], 10), [0, 0.9, 1]));
});

// Plan: values computed by hand from the sources' formulae, at noisy and at clean timesteps and where there is no signal at all.
import { expect, test } from 'vitest';
import { defaultTrainOptions, type LossOptions } from '../core/trainOptions.ts';
import { huberDelta, minSnrWeight, snr } from './lossWeights.ts';

/** a = 0.9, 0.5, 0.1, 0. */
const alphasCumprod = Float32Array.of(0.9, 0.5, 0.1, 0);

test('snr is a / (1 - a)', () => {
  [9, 1, 1 / 9, 0].forEach((expected, t) => expect(snr(alphasCumprod, t)).toBeCloseTo(expected, 5));
});

test.each([
  [9, 'epsilon', 5 / 9],
  [1, 'epsilon', 1],
  [0, 'epsilon', 1],
  [9, 'v_prediction', 0.5],
  [1, 'v_prediction', 0.5],
  [0, 'v_prediction', 0],
] as const)('min-SNR weight of snr %f for %s, gamma 5: %f', (ratio, predictionType, expected) => {
  expect(minSnrWeight(ratio, 5, predictionType)).toBeCloseTo(expected, 12);
});

test.each<[LossOptions['huberSchedule'], readonly number[]]>([
  ['constant', [0.1, 0.1, 0.1]],
  // exp(log(0.1) t / 4)
  ['exponential', [1, 0.5623413251903491, 0.31622776601683794]],
  // 0.9 / (1 + sqrt((1 - a) / a))^2 + 0.1
  ['snr', [0.6062499875, 0.325, 0.15625]],
])('Huber delta, %s', (huberSchedule, expected) => {
  const loss = { ...defaultTrainOptions.loss, huberDelta: 0.1, huberSchedule };
  expected.forEach((value, t) => expect(huberDelta(loss, t, alphasCumprod)).toBeCloseTo(value, 5));
});

test('no signal, no delta but the least', () => {
  const loss: LossOptions = { kind: 'huber', huberDelta: 0.1, huberSchedule: 'snr' };
  expect(huberDelta(loss, 3, alphasCumprod)).toBeCloseTo(0.1, 12);
});

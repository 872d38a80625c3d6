// Plan: epsilon's and v's targets; weights of min-SNR and of class images multiply; the clean guess undoes the noising for both kinds of
// prediction; options change the schedule; models of the third kind are refused.
import { describe, expect, test } from 'vitest';
import { defaultTrainOptions } from '../core/trainOptions.ts';
import {
  diffusionSettings,
  noiseBatch,
  noiseConfigOf,
  predictClean,
  type BatchParts,
  type DiffusionSettings,
} from './batch.ts';

const parts: BatchParts = {
  shape: [2, 1, 1, 2],
  clean: Float32Array.of(1, 2, 3, 4),
  noise: Float32Array.of(0.5, -0.5, 1, -1),
  timesteps: [0, 1],
  context: new Float32Array(2),
  contextShape: [2, 1, 1],
};
const settings: DiffusionSettings = {
  alphasCumprod: Float32Array.of(0.9, 0.36),
  predictionType: 'epsilon',
  minSnrGamma: null,
  loss: defaultTrainOptions.loss,
};
const velocity: DiffusionSettings = { ...settings, predictionType: 'v_prediction' };

const expectNear = (actual: ArrayLike<number>, expected: readonly number[]): void => {
  expect(actual).toHaveLength(expected.length);
  expected.forEach((value, i) => expect(actual[i]).toBeCloseTo(value, 5));
};

describe('noiseBatch', () => {
  test('mixes; the noise is the target', () => {
    const { noisy, target, weights } = noiseBatch(parts, settings);
    expectNear(noisy.subarray(2), [0.6 * 3 + 0.8 * 1, 0.6 * 4 - 0.8 * 1]);
    expect(target).toBe(parts.noise);
    expectNear(weights, [1, 1]);
  });

  test('v: sqrt(a) noise - sqrt(1 - a) clean', () => {
    expectNear(noiseBatch(parts, velocity).target.subarray(2), [0.6 * 1 - 0.8 * 3, -0.6 * 1 - 0.8 * 4]);
  });

  test('weights: min-SNR times the example’s own', () => {
    const batch = noiseBatch({ ...parts, exampleWeights: [1, 0.5] }, { ...settings, minSnrGamma: 4.5 });
    expectNear(batch.weights, [0.5, 0.5]);
  });

  test('a model that predicts the clean sample is refused', () => {
    expect(() => noiseBatch(parts, { ...settings, predictionType: 'sample' })).toThrow('clean sample');
  });
});

test.each([settings, velocity])('predictClean undoes the noising ($predictionType)', (of) => {
  const batch = noiseBatch(parts, of);
  expectNear(predictClean(batch, batch.target, of), [1, 2, 3, 4]);
});

test('predictClean stays finite where there is nothing but noise', () => {
  const pure = { ...settings, alphasCumprod: Float32Array.of(0, 0) };
  expect(predictClean(noiseBatch(parts, pure), new Float32Array(4), pure).every(Number.isFinite)).toBe(true);
});

test('options change the model’s schedule, and only what they name', () => {
  const config = { beta_schedule: 'scaled_linear', beta_start: 0.00085, beta_end: 0.012, num_train_timesteps: 1000 };
  expect(noiseConfigOf(defaultTrainOptions, config)).toEqual(config);
  const options = { ...defaultTrainOptions, zeroTerminalSnr: true, predictionType: 'v_prediction' as const };
  const { alphasCumprod, predictionType } = diffusionSettings(options, noiseConfigOf(options, config));
  expect(predictionType).toBe('v_prediction');
  expect(alphasCumprod.at(-1)).toBe(0);
  expect(alphasCumprod[0]).toBeCloseTo(diffusionSettings(defaultTrainOptions, config).alphasCumprod[0]!, 6);
});

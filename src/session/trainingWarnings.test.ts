// Plan: zero terminal SNR is warned of where the model guesses the noise, and there only.
import { expect, test } from 'vitest';
import { trainingWarnings } from './trainingWarnings.ts';

test('zero terminal SNR suits v-prediction only', () => {
  expect(trainingWarnings({ zeroTerminalSnr: true }, { predictionType: 'epsilon' })).toEqual([
    expect.stringMatching(/^Zero terminal SNR is on, but this model guesses the noise \(epsilon\): .* Switch it off/),
  ]);
  expect(trainingWarnings({ zeroTerminalSnr: true }, { predictionType: 'v_prediction' })).toEqual([]);
  expect(trainingWarnings({ zeroTerminalSnr: false }, { predictionType: 'epsilon' })).toEqual([]);
});

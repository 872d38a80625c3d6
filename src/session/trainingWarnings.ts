/** What may be asked of a training but will hardly do what was hoped for: said in the run's log, without stopping anybody. */
import type { TrainOptions } from '../core/trainOptions.ts';
import type { DiffusionSettings } from '../trainer/batch.ts';

export function trainingWarnings(
  { zeroTerminalSnr }: Pick<TrainOptions, 'zeroTerminalSnr'>,
  { predictionType }: Pick<DiffusionSettings, 'predictionType'>,
): string[] {
  if (!zeroTerminalSnr || predictionType !== 'epsilon') return [];
  return [
    'Zero terminal SNR is on, but this model guesses the noise (epsilon): at the last timestep its input is that very noise, so nothing is learnt there, and samples that begin there lose contrast. Switch it off, unless the model was made to guess the velocity (v-prediction).',
  ];
}

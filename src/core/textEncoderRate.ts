/** What the text encoder's rate becomes with another optimizer. */
import { defaultTrainOptions, type OptimizerName } from './trainOptions.ts';

/**
 * The text encoder's rate for another optimizer, where the one that stands there makes no sense with it: Prodigy multiplies the rate that it
 * finds by it, the others take it as it is. Null: it may stay.
 */
export function textEncoderRateFor(name: OptimizerName, rate: number): number | null {
  if (name === 'prodigy') return rate > 0 && rate < 0.01 ? 1 : null;
  return rate > 0.1 ? defaultTrainOptions.textEncoder.learningRate : null;
}

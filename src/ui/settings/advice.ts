/** What may be allowed, but is seldom meant: said beside the field, without stopping anybody. */
import type { TrainOptions } from '../../core/trainOptions.ts';
import type { TrainField } from '../../store/trainForm.ts';

const advice: Partial<Record<TrainField, (options: TrainOptions) => string | false>> = {
  learningRate: ({ learningRate, optimizer }) => {
    if (optimizer.name === 'prodigy') return learningRate !== 1 && 'Prodigy finds the rate: 1 is usual here.';
    if (learningRate > 5e-3) return 'Very high: pictures are likely to break.';
    return learningRate < 5e-6 && optimizer.name !== 'lion' && 'Very low: little will be learnt.';
  },
  rank: ({ rank }) => rank > 64 && 'A rank this high mostly memorises.',
  alpha: ({ alpha, rank }) => alpha > 2 * rank && 'More than twice the rank is unusually strong.',
  trainBatchSize: ({ trainBatchSize }) =>
    trainBatchSize > 8 && 'Takes much memory: accumulation has the same effect without it.',
  zeroTerminalSnr: ({ zeroTerminalSnr, predictionType }) =>
    zeroTerminalSnr &&
    predictionType !== 'v_prediction' &&
    'Models that guess the noise, as SD 1.x does, learn nothing from its last level: only for those that guess the velocity.',
  'validation.everySteps': ({ validation }) =>
    validation.everySteps === 0 && (validation.count > 0 || validation.split > 0) && 'Held out, but never looked at.',
};

export function adviceOn(field: TrainField, options: TrainOptions): string | null {
  const text = advice[field]?.(options) ?? false;
  return text === false ? null : text;
}

/** Why a setting counts for nothing beside the others, in a few words; null where it counts. */
import type { TrainOptions } from '../../core/trainOptions.ts';
import type { TrainField } from '../../store/trainForm.ts';

type Reason = (options: TrainOptions) => string | false;

const ofBuckets: Reason = ({ buckets }) => !buckets.enabled && 'Only with buckets.';
const ofPrior: Reason = ({ priorPreservation }) => !priorPreservation.enabled && 'Only with prior preservation.';
const ofProdigy: Reason = ({ optimizer }) => optimizer.name !== 'prodigy' && 'Prodigy only.';
const ofAdafactor: Reason = ({ optimizer }) => optimizer.name !== 'adafactor' && 'Adafactor only.';
const ofHuber: Reason = ({ loss }) => loss.kind === 'l2' && 'Not for the squared error.';
const ofConvolutions: Reason = ({ targets }) => !targets.convolutions && 'Only with convolutions.';
const ofValidation: Reason = ({ validation }) =>
  validation.count === 0 && validation.split === 0 && 'Hold out images first.';

const reasons: Partial<Record<TrainField, Reason>> = {
  convRank: ofConvolutions,
  convAlpha: ofConvolutions,
  'textEncoder.learningRate': ({ textEncoder }) => !textEncoder.train && 'The text encoder is not trained.',
  learningRate: ({ optimizer }) =>
    optimizer.name === 'adafactor' && optimizer.relativeStep && 'Adafactor chooses it: see “Relative step”.',
  maxTrainSteps: ({ maxTrainEpochs }) => maxTrainEpochs !== null && `${maxTrainEpochs} epochs decide it.`,
  'optimizer.beta2': ({ optimizer }) => optimizer.name === 'adafactor' && 'Adafactor has none.',
  'optimizer.initialD': ofProdigy,
  'optimizer.dCoefficient': ofProdigy,
  'optimizer.biasCorrection': ofProdigy,
  'optimizer.safeguardWarmup': ofProdigy,
  'optimizer.scaleParameter': ofAdafactor,
  'optimizer.relativeStep': ofAdafactor,
  'lrScheduler.warmupSteps': ({ lrScheduler }) => lrScheduler.name === 'constant' && 'Not with a constant rate.',
  'lrScheduler.cycles': ({ lrScheduler }) => !lrScheduler.name.startsWith('cosine') && 'Cosines only.',
  'lrScheduler.power': ({ lrScheduler }) => lrScheduler.name !== 'polynomial' && 'Polynomial only.',
  'buckets.minSide': ofBuckets,
  'buckets.maxSide': ofBuckets,
  'buckets.step': ofBuckets,
  'buckets.noUpscale': ofBuckets,
  keepTokens: ({ shuffleTags }) => !shuffleTags && 'Only where tags are shuffled.',
  'pyramidNoise.discount': ({ pyramidNoise }) => pyramidNoise.iterations === 0 && 'Only with pyramid noise.',
  'loss.huberDelta': ofHuber,
  'loss.huberSchedule': ofHuber,
  'priorPreservation.weight': ofPrior,
  'priorPreservation.classPrompt': ofPrior,
  'priorPreservation.classImages': ofPrior,
  'validation.split': ({ validation }) => validation.count > 0 && 'The number of images goes before it.',
  'validation.seed': ofValidation,
  'checkpoints.keep': ({ checkpoints }) => checkpoints.everySteps === 0 && 'Only the latest state is kept.',
};

export function whyUnused(field: TrainField, options: TrainOptions): string | null {
  const reason = reasons[field]?.(options) ?? false;
  return reason === false ? null : reason;
}

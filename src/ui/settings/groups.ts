/** The settings by what they are about; how each is shown; and a line that says what stands in a group. */
import type { TrainOptions } from '../../core/trainOptions.ts';
import type { TrainField } from '../../store/trainForm.ts';

export interface Shown {
  readonly field: TrainField;
  readonly suffix?: string;
  /** What a choice is called before a person; the empty text is nothing (null). */
  readonly words?: Readonly<Record<string, string>>;
  readonly placeholder?: string;
  /** Across both columns. */
  readonly wide?: boolean;
  /** Not shown in its group while it counts for nothing; the search finds it all the same. */
  readonly onlyWhenUsed?: boolean;
}

export interface SettingsGroup {
  readonly id: string;
  readonly title: string;
  readonly fields: readonly Shown[];
  readonly summary: (options: TrainOptions) => string;
}

const optimizerWords = {
  adamw: 'AdamW',
  adamw8bit: 'AdamW, 8 bit',
  lion: 'Lion',
  prodigy: 'Prodigy',
  adafactor: 'Adafactor',
} as const;

const scheduleWords = {
  constant: 'Constant',
  constantWithWarmup: 'Constant with warm-up',
  linear: 'Linear',
  cosine: 'Cosine',
  cosineWithRestarts: 'Cosine with restarts',
  polynomial: 'Polynomial',
} as const;

const lossWords = { l2: 'Squared error', huber: 'Huber', smoothL1: 'Smooth L1' } as const;

/** The parts that are not empty, with commas. */
const list = (...parts: readonly (string | false)[]): string =>
  parts.filter((part) => part !== false && part !== '').join(', ');

export const settingsGroups: readonly SettingsGroup[] = [
  {
    id: 'adapter',
    title: 'Adapter',
    fields: [
      { field: 'adapterKind', words: { lora: 'LoRA', dora: 'DoRA' }, wide: true },
      { field: 'rank' },
      { field: 'alpha' },
      { field: 'targets.attention' },
      { field: 'targets.feedForward' },
      { field: 'targets.projections' },
      { field: 'targets.convolutions' },
      { field: 'convRank' },
      { field: 'convAlpha' },
      { field: 'textEncoder.train' },
      { field: 'textEncoder.learningRate', wide: true },
      { field: 'dropout.network' },
      { field: 'dropout.rank' },
      { field: 'dropout.module' },
      { field: 'blockLearningRates', wide: true, placeholder: 'mid_block=0.5, up_blocks.1=2' },
    ],
    summary: ({ adapterKind, rank, alpha, targets, textEncoder }) => {
      const { attention, feedForward, projections, convolutions } = targets;
      const layers = list(
        attention && 'attention',
        feedForward && 'feed-forward',
        projections && 'projections',
        convolutions && 'convolutions',
        textEncoder.train && 'text encoder',
      );
      return `${adapterKind === 'dora' ? 'DoRA' : 'LoRA'} ${rank}/${alpha} on ${layers === '' ? 'nothing' : layers}`;
    },
  },
  {
    id: 'optimizer',
    title: 'Optimizer and schedule',
    fields: [
      { field: 'optimizer.name', words: optimizerWords },
      { field: 'lrScheduler.name', words: scheduleWords },
      { field: 'lrScheduler.warmupSteps', suffix: 'steps' },
      { field: 'lrScheduler.cycles' },
      { field: 'lrScheduler.power' },
      { field: 'trainBatchSize' },
      { field: 'gradientAccumulationSteps', suffix: '×' },
      { field: 'maxGradNorm' },
      { field: 'maxTrainEpochs', placeholder: 'by steps' },
      { field: 'seed' },
      { field: 'emaDecay', placeholder: 'off' },
      { field: 'optimizer.weightDecay' },
      { field: 'optimizer.beta1' },
      { field: 'optimizer.beta2' },
      { field: 'optimizer.epsilon' },
      { field: 'optimizer.initialD', onlyWhenUsed: true },
      { field: 'optimizer.dCoefficient', onlyWhenUsed: true },
      { field: 'optimizer.biasCorrection', onlyWhenUsed: true },
      { field: 'optimizer.safeguardWarmup', onlyWhenUsed: true },
      { field: 'optimizer.scaleParameter', onlyWhenUsed: true },
      { field: 'optimizer.relativeStep', onlyWhenUsed: true },
    ],
    summary: ({ optimizer, lrScheduler, trainBatchSize, gradientAccumulationSteps }) =>
      list(
        optimizerWords[optimizer.name],
        scheduleWords[lrScheduler.name].toLowerCase(),
        `batch ${trainBatchSize}${gradientAccumulationSteps > 1 ? ` × ${gradientAccumulationSteps}` : ''}`,
      ),
  },
  {
    id: 'data',
    title: 'Data',
    fields: [
      { field: 'flipProbability', suffix: '%' },
      { field: 'repeats', suffix: '×' },
      { field: 'randomCrop' },
      { field: 'buckets.enabled' },
      { field: 'buckets.minSide', suffix: 'px' },
      { field: 'buckets.maxSide', suffix: 'px' },
      { field: 'buckets.step', suffix: 'px' },
      { field: 'buckets.noUpscale' },
      { field: 'captionDropout', suffix: '%' },
      { field: 'clipSkip' },
      { field: 'shuffleTags' },
      { field: 'keepTokens', suffix: 'tags', wide: true },
      { field: 'priorPreservation.enabled' },
      { field: 'priorPreservation.classPrompt', wide: true, placeholder: 'a photo of a dog' },
      { field: 'priorPreservation.classImages' },
      { field: 'priorPreservation.weight' },
    ],
    summary: ({ buckets, randomCrop, flipProbability, captionDropout, shuffleTags, priorPreservation }) =>
      list(
        buckets.enabled ? 'buckets' : randomCrop ? 'random crops' : 'squares',
        flipProbability > 0 && `${Math.round(flipProbability * 100)} % flipped`,
        captionDropout > 0 && `${Math.round(captionDropout * 100)} % without caption`,
        shuffleTags && 'tags shuffled',
        priorPreservation.enabled && 'class images',
      ),
  },
  {
    id: 'loss',
    title: 'Loss and noise',
    fields: [
      { field: 'loss.kind', words: lossWords },
      { field: 'minSnrGamma', placeholder: 'off' },
      { field: 'loss.huberDelta' },
      { field: 'loss.huberSchedule', words: { constant: 'Constant', exponential: 'Exponential', snr: 'By SNR' } },
      { field: 'noiseOffset' },
      { field: 'pyramidNoise.iterations' },
      { field: 'pyramidNoise.discount' },
      {
        field: 'predictionType',
        words: { '': 'Model’s own', epsilon: 'Noise (epsilon)', v_prediction: 'Velocity (v)' },
      },
      { field: 'zeroTerminalSnr' },
      { field: 'maskedLoss' },
    ],
    summary: ({ loss, minSnrGamma, noiseOffset, pyramidNoise, zeroTerminalSnr, maskedLoss }) =>
      list(
        lossWords[loss.kind],
        minSnrGamma !== null && `min-SNR ${minSnrGamma}`,
        noiseOffset > 0 && `noise offset ${noiseOffset}`,
        pyramidNoise.iterations > 0 && 'pyramid noise',
        zeroTerminalSnr && 'zero SNR',
        maskedLoss && 'masks',
      ),
  },
  {
    id: 'validation',
    title: 'Validation and checkpoints',
    fields: [
      { field: 'validation.count', suffix: 'images' },
      { field: 'validation.split', suffix: '%' },
      { field: 'validation.everySteps', suffix: 'steps' },
      { field: 'validation.seed' },
      { field: 'validation.timesteps', wide: true },
      { field: 'checkpoints.everySteps', suffix: 'steps' },
      { field: 'checkpoints.keep' },
    ],
    summary: ({ validation, checkpoints }) => {
      const { count, split, everySteps } = validation;
      const held = count > 0 ? `${count} held out` : split > 0 ? `${Math.round(split * 100)} % held out` : '';
      return list(
        held === '' || everySteps === 0 ? 'No validation' : `${held}, every ${everySteps} steps`,
        checkpoints.everySteps === 0 ? 'latest state kept' : `a copy every ${checkpoints.everySteps} steps`,
      );
    },
  },
  {
    id: 'samples',
    title: 'Samples',
    fields: [
      { field: 'sampleInferenceSteps' },
      { field: 'sampleGuidanceScale' },
      { field: 'sampleEveryEpochs', suffix: 'epochs' },
      { field: 'sampleNegativePrompt', wide: true },
    ],
    summary: ({ sampleInferenceSteps, sampleGuidanceScale }) =>
      `${sampleInferenceSteps} steps each, guidance ${sampleGuidanceScale}`,
  },
  {
    id: 'memory',
    title: 'Memory and speed',
    fields: [
      { field: 'mixedPrecision', words: { no: 'off', fp16: 'fp16' } },
      { field: 'weightsPrecision', words: { f16: '16 bit', int8: '8 bit' } },
      { field: 'activationMemory', suffix: 'MB' },
    ],
    summary: ({ mixedPrecision, weightsPrecision }) =>
      `Weights ${weightsPrecision === 'int8' ? '8' : '16'} bit${mixedPrecision === 'fp16' ? ', products fp16' : ''}`,
  },
];

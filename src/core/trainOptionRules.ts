/**
 * What each option may be, in numbers and in words. The page's form, the command line and the session check by this one table,
 * so that they say the same of the same mistake.
 */
import type { TrainOptions } from './trainOptions.ts';

type Leaf = string | number | boolean | null;

type LeavesOf<T> = { [K in keyof T & string]: T[K] extends Leaf ? K : never }[keyof T & string];

/** The groups of options: records, not lists nor the map of block learning rates. */
type Group = Exclude<keyof TrainOptions, LeavesOf<TrainOptions> | 'blockLearningRates' | 'samplePrompts'>;

/** `rank`, `optimizer.beta1`, ...: every option that is one value. Lists and maps have checks of their own. */
export type TrainOptionPath = LeavesOf<TrainOptions> | { [G in Group]: `${G}.${LeavesOf<TrainOptions[G]>}` }[Group];

interface NumberRule {
  readonly kind: 'number';
  readonly whole: boolean;
  readonly min: number;
  readonly max: number;
  /** The minimum itself is not allowed. */
  readonly aboveMin?: boolean;
  /** Nor is the maximum. */
  readonly belowMax?: boolean;
  /** Beside whole numbers it may be a share, below 1. */
  readonly orShare?: boolean;
  /** What null means, where it is allowed. */
  readonly whenNull?: string;
}

export type OptionRule = {
  /** What it is called before a person. */
  readonly label: string;
} & (
  | NumberRule
  | { readonly kind: 'choice'; readonly choices: readonly string[]; readonly whenNull?: string }
  | { readonly kind: 'flag' }
  | { readonly kind: 'text' }
);

const whole = (label: string, min: number, max: number): OptionRule => ({
  label,
  kind: 'number',
  whole: true,
  min,
  max,
});
const real = (label: string, min: number, max: number, more: Partial<NumberRule> = {}): OptionRule => ({
  label,
  kind: 'number',
  whole: false,
  min,
  max,
  ...more,
});
const above = (label: string, min: number, max: number): OptionRule => real(label, min, max, { aboveMin: true });
const chanceBelow1 = (label: string): OptionRule => real(label, 0, 1, { belowMax: true });
const flag = (label: string): OptionRule => ({ label, kind: 'flag' });
const choice = (label: string, ...choices: readonly string[]): OptionRule => ({ label, kind: 'choice', choices });

const million = 1_000_000;
const largestSeed = 2 ** 32 - 1;

export const trainOptionRules: Readonly<Record<TrainOptionPath, OptionRule>> = {
  adapterKind: choice('Adapter', 'lora', 'dora'),
  rank: whole('Rank', 1, 320),
  alpha: above('Alpha', 0, 1024),
  convRank: whole('Convolution rank', 1, 320),
  convAlpha: above('Convolution alpha', 0, 1024),
  'dropout.network': chanceBelow1('Network dropout'),
  'dropout.rank': chanceBelow1('Rank dropout'),
  'dropout.module': chanceBelow1('Module dropout'),
  'targets.attention': flag('Attention'),
  'targets.feedForward': flag('Feed-forward'),
  'targets.projections': flag('Projections'),
  'targets.convolutions': flag('Convolutions'),
  'textEncoder.train': flag('Train the text encoder'),
  'textEncoder.learningRate': real('Text encoder learning rate', 0, 10),
  learningRate: above('Learning rate', 0, 10),
  'optimizer.name': choice('Optimizer', 'adamw', 'adamw8bit', 'lion', 'prodigy', 'adafactor'),
  'optimizer.beta1': chanceBelow1('Beta 1'),
  'optimizer.beta2': chanceBelow1('Beta 2'),
  'optimizer.epsilon': above('Epsilon', 0, 1),
  'optimizer.weightDecay': real('Weight decay', 0, 10),
  'optimizer.initialD': above('First estimate of D', 0, 1),
  'optimizer.dCoefficient': above('D coefficient', 0, 100),
  'optimizer.biasCorrection': flag('Bias correction'),
  'optimizer.safeguardWarmup': flag('Safeguard the warm-up'),
  'optimizer.scaleParameter': flag('Scale by the parameter'),
  'optimizer.relativeStep': flag('Relative step'),
  'lrScheduler.name': choice(
    'Schedule',
    'constant',
    'constantWithWarmup',
    'linear',
    'cosine',
    'cosineWithRestarts',
    'polynomial',
  ),
  'lrScheduler.warmupSteps': real('Warm-up steps', 0, million, { whole: true, orShare: true }),
  'lrScheduler.cycles': above('Cycles', 0, 1000),
  'lrScheduler.power': above('Power', 0, 100),
  trainBatchSize: whole('Batch size', 1, 64),
  gradientAccumulationSteps: whole('Gradient accumulation', 1, 1024),
  maxGradNorm: real('Max gradient norm', 0, million),
  maxTrainSteps: whole('Steps', 1, million),
  maxTrainEpochs: { ...(whole('Epochs', 1, 100_000) as NumberRule & { label: string }), whenNull: 'steps count' },
  seed: whole('Seed', 0, largestSeed),
  emaDecay: real('EMA decay', 0, 1, { aboveMin: true, belowMax: true, whenNull: 'off' }),
  resolution: whole('Resolution', 8, 2048),
  'buckets.enabled': flag('Buckets'),
  'buckets.minSide': whole('Shortest side of a bucket', 8, 2048),
  'buckets.maxSide': whole('Longest side of a bucket', 8, 4096),
  'buckets.step': whole('Bucket step', 8, 512),
  'buckets.noUpscale': flag('No upscaling'),
  randomCrop: flag('Random crop'),
  flipProbability: real('Flip', 0, 1),
  repeats: whole('Repeats', 1, 10_000),
  captionDropout: real('Caption dropout', 0, 1),
  shuffleTags: flag('Shuffle tags'),
  keepTokens: whole('Keep tags', 0, 1000),
  clipSkip: whole('Clip skip', 1, 12),
  predictionType: {
    label: 'Prediction',
    kind: 'choice',
    choices: ['epsilon', 'v_prediction'],
    whenNull: 'as the model says',
  },
  minSnrGamma: real('Min-SNR gamma', 0, 100, { aboveMin: true, whenNull: 'off' }),
  noiseOffset: real('Noise offset', 0, 1),
  'pyramidNoise.iterations': whole('Pyramid noise', 0, 10),
  'pyramidNoise.discount': real('Pyramid noise discount', 0, 1),
  zeroTerminalSnr: flag('Zero terminal SNR'),
  'loss.kind': choice('Loss', 'l2', 'huber', 'smoothL1'),
  'loss.huberDelta': above('Huber delta', 0, 10),
  'loss.huberSchedule': choice('Huber schedule', 'constant', 'exponential', 'snr'),
  'priorPreservation.enabled': flag('Prior preservation'),
  'priorPreservation.weight': real('Prior loss weight', 0, 100),
  'priorPreservation.classPrompt': { label: 'Class prompt', kind: 'text' },
  'priorPreservation.classImages': whole('Class images', 1, 10_000),
  maskedLoss: flag('Masked loss'),
  'validation.split': chanceBelow1('Validation share'),
  'validation.count': whole('Validation images', 0, 100_000),
  'validation.everySteps': whole('Validate every', 0, million),
  'validation.seed': whole('Validation seed', 0, largestSeed),
  sampleEvery: whole('Sample every', 0, million),
  sampleEveryEpochs: whole('Sample every so many epochs', 0, 100_000),
  sampleInferenceSteps: whole('Sample steps', 1, 1000),
  sampleGuidanceScale: real('Guidance scale', 0, 100),
  sampleNegativePrompt: { label: 'Negative prompt', kind: 'text' },
  'checkpoints.everySteps': whole('Checkpoint every', 0, million),
  'checkpoints.keep': whole('Checkpoints kept', 0, 10_000),
  mixedPrecision: choice('Mixed precision', 'no', 'fp16'),
  weightsPrecision: choice('Weights', 'f16', 'int8'),
  activationMemory: whole('Memory for speed', 0, million),
};

/** The value at a path, of options or of any record like them; undefined where the way is missing. */
export function optionAt(options: unknown, path: string): unknown {
  let value = options;
  for (const key of path.split('.')) {
    value = typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>)[key] : undefined;
  }
  return value;
}

/** Whether a value is of the rule's kind, whatever its size. */
export function isOfKind(value: unknown, rule: OptionRule): boolean {
  switch (rule.kind) {
    case 'number':
      return (value === null && rule.whenNull !== undefined) || (typeof value === 'number' && Number.isFinite(value));
    case 'choice':
      return (
        (value === null && rule.whenNull !== undefined) || (typeof value === 'string' && rule.choices.includes(value))
      );
    case 'flag':
      return typeof value === 'boolean';
    case 'text':
      return typeof value === 'string';
  }
}

/** The rest of the sentence "VALUE, but ...", e.g. `it must be a whole number from 1 to 8`. */
export function ruleInWords(rule: OptionRule): string {
  const orNothing = 'whenNull' in rule && rule.whenNull !== undefined ? `, or nothing (${rule.whenNull})` : '';
  switch (rule.kind) {
    case 'number': {
      const what = rule.whole ? 'a whole number' : 'a number';
      const low = rule.aboveMin === true ? `above ${rule.min}` : `from ${rule.min}`;
      const high =
        rule.belowMax === true
          ? `below ${rule.max}`
          : rule.aboveMin === true
            ? `at most ${rule.max}`
            : `to ${rule.max}`;
      const joint = low.startsWith('from') && high.startsWith('to') ? ' ' : ' and ';
      const orShare = rule.orShare === true ? ', or a share below 1' : '';
      return `it must be ${what} ${low}${joint}${high}${orShare}${orNothing}`;
    }
    case 'choice':
      return `it must be one of ${rule.choices.join(', ')}${orNothing}`;
    case 'flag':
      return 'it must be true or false';
    case 'text':
      return 'it must be text';
  }
}

/** Whether a value keeps a rule. */
export function keepsRule(value: unknown, rule: OptionRule): boolean {
  if (!isOfKind(value, rule)) return false;
  if (rule.kind !== 'number' || value === null) return true;
  const number = value as number;
  return (
    (!rule.whole || Number.isInteger(number) || (rule.orShare === true && number < 1)) &&
    (rule.aboveMin === true ? number > rule.min : number >= rule.min) &&
    (rule.belowMax === true ? number < rule.max : number <= rule.max)
  );
}

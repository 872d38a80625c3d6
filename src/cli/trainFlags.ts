/**
 * The options of a training as flags of the command line: kohya's names in kebab case where it has them, in groups. Bounds and
 * kinds come from core/trainOptionRules.ts; what is not given stays as the preset and the defaults say.
 */
import { type Command, InvalidArgumentError, Option } from 'commander';
import { completeTrainOptions } from '../core/trainOptionsJson.ts';
import { optionAt, type OptionRule, type TrainOptionPath, trainOptionRules } from '../core/trainOptionRules.ts';
import { defaultTrainOptions, type TrainOptions } from '../core/trainOptions.ts';
import { real, whole } from './options.ts';

type FlagLine = readonly [flag: string, path: TrainOptionPath, help: string];

const groups: Readonly<Record<string, readonly FlagLine[]>> = {
  'Adapter:': [
    ['adapter', 'adapterKind', 'plain LoRA, or DoRA with magnitudes'],
    ['rank', 'rank', 'rank of the LoRA'],
    ['alpha', 'alpha', 'strength is alpha / rank'],
    ['conv-rank', 'convRank', 'rank of 3x3 convolutions, where they are trained'],
    ['conv-alpha', 'convAlpha', 'alpha of 3x3 convolutions'],
    ['network-dropout', 'dropout.network', 'chance that an element of the narrow activations is dropped'],
    ['rank-dropout', 'dropout.rank', 'chance that a row of the rank is dropped'],
    ['module-dropout', 'dropout.module', 'chance that a layer is left out of a step'],
    ['train-text-encoder', 'textEncoder.train', 'train the text encoder too'],
    ['text-encoder-lr', 'textEncoder.learningRate', 'its learning rate'],
  ],
  'Optimizer:': [
    ['lr', 'learningRate', 'learning rate'],
    ['optimizer', 'optimizer.name', 'how gradients become steps'],
    ['beta1', 'optimizer.beta1', 'decay of the mean gradient'],
    ['beta2', 'optimizer.beta2', 'decay of the mean square'],
    ['epsilon', 'optimizer.epsilon', 'added to the denominator'],
    ['weight-decay', 'optimizer.weightDecay', 'decay of the weights, apart from the gradient'],
    ['d0', 'optimizer.initialD', 'prodigy: first estimate of D'],
    ['d-coef', 'optimizer.dCoefficient', 'prodigy: factor on its estimate'],
    ['use-bias-correction', 'optimizer.biasCorrection', 'prodigy: Adam’s bias correction'],
    ['safeguard-warmup', 'optimizer.safeguardWarmup', 'prodigy: keep the warm-up out of the estimate'],
    ['scale-parameter', 'optimizer.scaleParameter', 'adafactor: rate times the size of the parameter'],
    ['relative-step', 'optimizer.relativeStep', 'adafactor: a rate of its own'],
    ['lr-scheduler', 'lrScheduler.name', 'how the learning rate changes'],
    ['lr-warmup-steps', 'lrScheduler.warmupSteps', 'steps over which it rises from 0; below 1, the share of all steps'],
    ['lr-scheduler-num-cycles', 'lrScheduler.cycles', 'waves of cosine, restarts of cosine_with_restarts'],
    ['lr-scheduler-power', 'lrScheduler.power', 'of polynomial'],
    ['batch', 'trainBatchSize', 'pictures a batch'],
    ['gradient-accumulation-steps', 'gradientAccumulationSteps', 'batches a step'],
    ['max-grad-norm', 'maxGradNorm', 'largest norm of the gradients; 0: any'],
    ['steps', 'maxTrainSteps', 'training steps'],
    ['epochs', 'maxTrainEpochs', 'times that every picture is shown, in place of steps'],
    ['seed', 'seed', 'seed of everything that is drawn at random'],
    ['ema-decay', 'emaDecay', 'keep an average of the weights, and write that'],
  ],
  'Pictures and captions:': [
    ['resolution', 'resolution', 'side of the square that pictures are cropped to; as the model, if not given'],
    ['enable-bucket', 'buckets.enabled', 'keep the pictures’ shapes, in buckets of as many pixels'],
    ['min-bucket-reso', 'buckets.minSide', 'shortest side of a bucket'],
    ['max-bucket-reso', 'buckets.maxSide', 'longest side of a bucket'],
    ['bucket-reso-steps', 'buckets.step', 'sides are multiples of it'],
    ['bucket-no-upscale', 'buckets.noUpscale', 'do not enlarge small pictures'],
    ['random-crop', 'randomCrop', 'another crop each time'],
    ['flip', 'flipProbability', 'chance of mirroring a picture, 0 to 1'],
    ['repeats', 'repeats', 'times that an epoch shows each picture'],
    ['caption-dropout-rate', 'captionDropout', 'chance that a caption is left empty, 0 to 1'],
    ['shuffle-caption', 'shuffleTags', 'shuffle what stands between commas'],
    ['keep-tokens', 'keepTokens', 'so many tags at the start stay in place'],
    ['clip-skip', 'clipSkip', '1: the text encoder’s last layer'],
  ],
  'Noise and loss:': [
    ['prediction-type', 'predictionType', 'what the model predicts; as the model says, if not given'],
    ['min-snr-gamma', 'minSnrGamma', 'weigh timesteps by min-SNR, e.g. 5'],
    ['noise-offset', 'noiseOffset', 'a constant in each channel of the noise, e.g. 0.05'],
    ['multires-noise-iterations', 'pyramidNoise.iterations', 'add coarser noises, e.g. 6'],
    ['multires-noise-discount', 'pyramidNoise.discount', 'strength of each in terms of the one before'],
    ['zero-terminal-snr', 'zeroTerminalSnr', 'make the last timestep pure noise'],
    ['loss-type', 'loss.kind', 'squared, or Huber’s, which minds outliers less'],
    ['huber-c', 'loss.huberDelta', 'where the loss turns from squared to absolute'],
    ['huber-schedule', 'loss.huberSchedule', 'how that depends on the timestep'],
    ['masked-loss', 'maskedLoss', 'learn where the pictures’ masks are white'],
    ['prior-preservation', 'priorPreservation.enabled', 'train on drawn pictures of the class, too'],
    ['prior-loss-weight', 'priorPreservation.weight', 'what they count'],
    ['class-prompt', 'priorPreservation.classPrompt', 'what they show'],
    ['class-images', 'priorPreservation.classImages', 'how many are drawn'],
  ],
  'Watching it:': [
    ['validation-split', 'validation.split', 'share of the pictures that is held out'],
    ['validation-count', 'validation.count', 'pictures that are held out'],
    ['validate-every', 'validation.everySteps', 'steps between validations; 0: never'],
    ['validation-seed', 'validation.seed', 'seed of their noise'],
    ['sample-every', 'sampleEvery', 'draw samples every so many steps; 0: never'],
    ['sample-every-epochs', 'sampleEveryEpochs', 'the same in epochs'],
    ['sample-steps', 'sampleInferenceSteps', 'denoising steps of a sample'],
    ['sample-guidance', 'sampleGuidanceScale', 'guidance scale of a sample'],
    ['sample-negative', 'sampleNegativePrompt', 'negative prompt of samples'],
    ['save-every', 'checkpoints.everySteps', 'steps between files that are kept; 0: only the last'],
    ['save-keep', 'checkpoints.keep', 'how many are kept; 0: all'],
  ],
  'Memory and speed:': [
    ['mixed-precision', 'mixedPrecision', 'factors of products in 16 bits: sooner, a little less exact'],
    ['weights', 'weightsPrecision', 'how the frozen weights are kept'],
    [
      'activation-memory',
      'activationMemory',
      'MB of GPU memory that may be spent on computing less twice; same result',
    ],
  ],
};

const targets = ['attention', 'feed-forward', 'projections', 'convolutions'] as const;

/** A choice as kohya spells it: constantWithWarmup -> constant_with_warmup. */
function spelled(choice: string): string {
  return choice.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

function optionOf([flag, path, help]: FlagLine, group: string): Option {
  const rule = trainOptionRules[path];
  const option = new Option(
    rule.kind === 'flag' ? `--${flag}` : `--${flag} <${placeholder(rule)}>`,
    help + byDefault(path),
  );
  if (rule.kind === 'number') option.argParser(rule.whole && rule.orShare !== true ? whole : real);
  if (rule.kind === 'choice') option.choices(rule.choices.map(spelled));
  return option.helpGroup(group);
}

/** What the defaults say, where that is not the preset's, the optimizer's or simply off. */
function byDefault(path: TrainOptionPath): string {
  const value = optionAt(defaultTrainOptions, path);
  if (typeof value !== 'number' && typeof value !== 'string') return '';
  const fromElsewhere: TrainOptionPath[] = [
    ...(['rank', 'alpha', 'learningRate', 'maxTrainSteps', 'trainBatchSize', 'seed'] as const),
    ...(['flipProbability', 'resolution', 'optimizer.beta1', 'optimizer.beta2'] as const),
    ...(['optimizer.epsilon', 'optimizer.weightDecay'] as const),
  ];
  return value === '' || fromElsewhere.includes(path) ? '' : ` [${spelled(String(value))}]`;
}

function placeholder(rule: OptionRule): string {
  return rule.kind === 'number' ? 'n' : rule.kind === 'choice' ? 'name' : 'text';
}

/** `attention,feed-forward`: the layers of the UNet that are trained. */
function targetList(text: string): Record<string, boolean> {
  const chosen = text.split(',').map((name) => name.trim());
  const unknown = chosen.find((name) => !targets.some((target) => target === name));
  if (unknown !== undefined) throw new InvalidArgumentError(`${unknown} is none of ${targets.join(', ')}.`);
  return Object.fromEntries(
    targets.map((target) => [target === 'feed-forward' ? 'feedForward' : target, chosen.includes(target)]),
  );
}

/** `up_blocks.1=0.5,mid_block=0`: factors on the learning rate by the start of a layer's path. */
function blockRates(text: string): Record<string, number> {
  return Object.fromEntries(
    text.split(',').map((entry) => {
      const [, block = '', factor = ''] = /^\s*([\w.]+)\s*=\s*(\S+)\s*$/.exec(entry) ?? [];
      if (block === '') throw new InvalidArgumentError('BLOCK=FACTOR is wanted, e.g. up_blocks.1=0.5.');
      return [block, real(factor)];
    }),
  );
}

/** `100,500,900`: whole numbers. */
function wholeList(text: string): number[] {
  return text.split(',').map(whole);
}

/** Adds a flag for every option of a training. */
export function addTrainFlags(command: Command): Command {
  command
    .addOption(
      new Option('--targets <list>', `layers of the UNet that learn: some of ${targets.join(',')}`)
        .argParser(targetList)
        .helpGroup('Adapter:'),
    )
    .addOption(
      new Option('--block-lr <list>', 'factors on the learning rate, e.g. up_blocks.1=0.5,mid_block=0')
        .argParser(blockRates)
        .helpGroup('Optimizer:'),
    )
    .addOption(
      new Option('--validation-timesteps <list>', 'timesteps of the validation, in thousandths')
        .argParser(wholeList)
        .helpGroup('Watching it:'),
    );
  for (const [group, lines] of Object.entries(groups)) {
    for (const line of lines) command.addOption(optionOf(line, group));
  }
  return command;
}

/** The options that the flags say, of a command made by {@link addTrainFlags}; the rest from `defaults`. */
export function trainOptionsOf(flags: Readonly<Record<string, unknown>>, defaults: TrainOptions): TrainOptions {
  const given: Record<string, unknown> = {};
  const set = (path: string, value: unknown): void => {
    const [first = '', second] = path.split('.');
    if (second === undefined) given[first] = value;
    else given[first] = { ...(given[first] as Record<string, unknown> | undefined), [second]: value };
  };
  if (flags['targets'] !== undefined) given['targets'] = flags['targets'];
  if (flags['blockLr'] !== undefined) given['blockLearningRates'] = flags['blockLr'];
  for (const line of Object.values(groups).flat()) {
    const [flag, path] = line;
    const value = flags[new Option(`--${flag}`).attributeName()];
    if (value === undefined) continue;
    const rule = trainOptionRules[path];
    set(path, rule.kind === 'choice' ? rule.choices.find((choice) => spelled(choice) === value) : value);
  }
  if (flags['validationTimesteps'] !== undefined) set('validation.timesteps', flags['validationTimesteps']);
  return completeTrainOptions(given, defaults);
}

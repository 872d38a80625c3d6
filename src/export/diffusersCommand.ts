/** A run as diffusers' `train_text_to_image_lora.py` takes it: its arguments, and the options that it has no place for. */
import { warmupStepsOf } from '../core/learningRate.ts';
import { trainOptionRules } from '../core/trainOptionRules.ts';
import type { LrSchedulerName, TrainOptions } from '../core/trainOptions.ts';
import type { NotCarried } from '../formats/kohya/writeConfig.ts';

export interface DiffusersCommand {
  /** `--name` and, unless it is a flag, its value. */
  readonly args: readonly (readonly [string] | readonly [string, string | number])[];
  readonly notCarried: readonly NotCarried[];
}

const schedulerNames: Readonly<Record<LrSchedulerName, string>> = {
  constant: 'constant',
  constantWithWarmup: 'constant_with_warmup',
  linear: 'linear',
  cosine: 'cosine',
  cosineWithRestarts: 'cosine_with_restarts',
  polynomial: 'polynomial',
};

/** `imageFolder` holds the images and their metadata.jsonl. */
export function diffusersCommand(modelName: string, options: TrainOptions, imageFolder: string): DiffusersCommand {
  const { optimizer, lrScheduler, checkpoints, samplePrompts } = options;
  const usesAdam = optimizer.name === 'adamw' || optimizer.name === 'adamw8bit';
  const [firstPrompt] = samplePrompts;
  const args: DiffusersCommand['args'] = [
    ['--pretrained_model_name_or_path', modelName],
    ['--train_data_dir', imageFolder],
    ['--caption_column', 'text'],
    ['--output_dir', 'output'],
    ['--resolution', options.resolution],
    ...(options.randomCrop ? [] : [['--center_crop'] as const]),
    ...(options.flipProbability >= 0.25 ? [['--random_flip'] as const] : []),
    ['--rank', options.rank],
    ['--learning_rate', options.learningRate],
    ['--lr_scheduler', schedulerNames[lrScheduler.name]],
    ['--lr_warmup_steps', warmupStepsOf(lrScheduler, options.maxTrainSteps)],
    ['--train_batch_size', options.trainBatchSize],
    ['--gradient_accumulation_steps', options.gradientAccumulationSteps],
    ['--gradient_checkpointing'],
    ['--max_train_steps', options.maxTrainSteps],
    // 0 is no limit here, and would be a limit of nothing there.
    ['--max_grad_norm', options.maxGradNorm === 0 ? 1e9 : options.maxGradNorm],
    ...(usesAdam
      ? ([
          ['--adam_beta1', optimizer.beta1],
          ['--adam_beta2', optimizer.beta2],
          ['--adam_weight_decay', optimizer.weightDecay],
          ['--adam_epsilon', optimizer.epsilon],
        ] as const)
      : []),
    ...(optimizer.name === 'adamw8bit' ? [['--use_8bit_adam'] as const] : []),
    ...(options.minSnrGamma === null ? [] : [['--snr_gamma', options.minSnrGamma] as const]),
    ...(options.noiseOffset === 0 ? [] : [['--noise_offset', options.noiseOffset] as const]),
    ...(options.predictionType === null ? [] : [['--prediction_type', options.predictionType] as const]),
    ...(checkpoints.everySteps === 0 ? [] : [['--checkpointing_steps', checkpoints.everySteps] as const]),
    ...(checkpoints.everySteps === 0 || checkpoints.keep === 0
      ? []
      : [['--checkpoints_total_limit', checkpoints.keep] as const]),
    ...(firstPrompt === undefined ? [] : [['--validation_prompt', firstPrompt.prompt] as const]),
    ['--seed', options.seed],
  ];
  return { args, notCarried: notCarriedBy(options, usesAdam) };
}

function notCarriedBy(options: TrainOptions, usesAdam: boolean): NotCarried[] {
  const { targets, dropout, lrScheduler, loss, validation } = options;
  const label = (path: keyof typeof trainOptionRules): string => trainOptionRules[path].label;
  const isAttentionOnly = targets.attention && !targets.feedForward && !targets.projections && !targets.convolutions;
  const cases: readonly (readonly [boolean, string, string])[] = [
    [options.adapterKind === 'dora', label('adapterKind'), 'it trains plain LoRAs'],
    [options.alpha !== options.rank, label('alpha'), 'it sets alpha to the rank'],
    [!isAttentionOnly, 'Layers', 'it trains attention only'],
    [options.textEncoder.train, label('textEncoder.train'), 'it trains the UNet only'],
    [Object.values(dropout).some((chance) => chance > 0), 'Dropout', 'it has none'],
    [Object.keys(options.blockLearningRates).length > 0, 'Block learning rates', 'it has one rate'],
    [!usesAdam, label('optimizer.name'), 'it has AdamW only, with its own defaults'],
    [lrScheduler.name === 'cosine' && lrScheduler.cycles !== 0.5, label('lrScheduler.cycles'), 'its cosine falls once'],
    [
      lrScheduler.name === 'cosineWithRestarts' && lrScheduler.cycles !== 1,
      label('lrScheduler.cycles'),
      'its cosine with restarts falls once',
    ],
    [lrScheduler.name === 'polynomial' && lrScheduler.power !== 1, label('lrScheduler.power'), 'its power is 1'],
    [options.maxGradNorm === 0, label('maxGradNorm'), 'it always has a limit: a very high one is written'],
    [options.emaDecay !== null, label('emaDecay'), 'it has none'],
    [options.buckets.enabled, label('buckets.enabled'), 'it crops to squares'],
    [options.repeats > 1, label('repeats'), 'it shows each image once an epoch'],
    [
      options.flipProbability !== 0 && options.flipProbability !== 0.5,
      label('flipProbability'),
      'it mirrors half of the images or none: the nearer is written',
    ],
    [options.captionDropout > 0, label('captionDropout'), 'it has none'],
    [options.shuffleTags, label('shuffleTags'), 'it takes captions as they stand'],
    [options.clipSkip > 1, label('clipSkip'), 'it uses the last layer'],
    [options.pyramidNoise.iterations > 0, label('pyramidNoise.iterations'), 'it has none'],
    [options.zeroTerminalSnr, label('zeroTerminalSnr'), 'it leaves the noise levels as they are'],
    [loss.kind !== 'l2', label('loss.kind'), 'it has the squared error only'],
    [options.priorPreservation.enabled, label('priorPreservation.enabled'), 'it has none'],
    [options.maskedLoss, label('maskedLoss'), 'it counts whole images'],
    [validation.count > 0 || validation.split > 0, 'Validation', 'it draws pictures only'],
    [options.samplePrompts.length > 1, 'Sample prompts', 'it draws the first one, once an epoch'],
    [options.weightsPrecision === 'int8', label('weightsPrecision'), 'accelerate decides it'],
  ];
  return cases
    .filter(([isLost]) => isLost)
    .map(([, option, why]) => ({ option, why: `${why.charAt(0).toUpperCase()}${why.slice(1)}.` }));
}

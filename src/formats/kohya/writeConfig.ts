/**
 * A run as kohya's trainer takes it: config TOML for `train_network.py --config_file`, dataset TOML and file of sample prompts beside it;
 * and a list of the options that have no counterpart there. Read back by readConfig.ts it is the same run.
 */
import { stringify, type TomlTableWithoutBigInt } from 'smol-toml';
import { linesOf } from '../../core/promptLines.ts';
import { optionAt, trainOptionRules } from '../../core/trainOptionRules.ts';
import type { OptimizerOptions, TrainOptions } from '../../core/trainOptions.ts';
import { weightsFromRates } from './blocks.ts';
import { datasetArguments, lossNames, optimizerNames, plainArguments, schedulerNames } from './plainArguments.ts';

/** An option that another trainer has no place for. */
export interface NotCarried {
  /** What it is called before a person. */
  readonly option: string;
  /** A sentence. */
  readonly why: string;
}

/** A folder of images that are shown equally often. */
export interface KohyaSubset {
  /** Relative to where the trainer is started, e.g. `dataset/1x`. */
  readonly imageFolder: string;
  readonly repeats: number;
  /** Folder of masks of the same names, where there are any. */
  readonly maskFolder?: string;
}

export interface KohyaRun {
  readonly name: string;
  /** A Hub id, or a path: what the person has to replace if it is neither. */
  readonly modelName: string;
  readonly options: TrainOptions;
  readonly subsets: readonly KohyaSubset[];
}

export interface KohyaFiles {
  readonly config: string;
  readonly dataset: string;
  /** Empty where no samples are drawn. */
  readonly prompts: string;
  /** Whether it needs `pip install lycoris-lora`. */
  readonly needsLycoris: boolean;
  readonly notCarried: readonly NotCarried[];
}

export const kohyaFileNames = {
  config: 'config.toml',
  dataset: 'dataset.toml',
  prompts: 'sample_prompts.txt',
} as const;

type Arguments = Record<string, string | number | boolean | readonly string[]>;

export function writeKohyaConfig(run: KohyaRun): KohyaFiles {
  const { options } = run;
  const notCarried: NotCarried[] = [];
  const lost = (option: string, why: string): void => {
    notCarried.push({ option, why });
  };
  const adapter = adapterArguments(options, lost);
  const prompts = promptFile(options);
  const plain = plainOf(plainArguments, options);
  const unwritten = inactiveArguments(options);
  const training = Object.fromEntries(Object.entries(plain).filter(([name]) => !unwritten.has(name)));
  const config = {
    model: {
      pretrained_model_name_or_path: run.modelName,
      ...(options.predictionType === 'v_prediction' ? { v_parameterization: true } : {}),
    },
    output: { output_dir: 'output', output_name: run.name, save_model_as: 'safetensors', save_precision: 'float' },
    network: adapter.arguments,
    training: {
      ...training,
      ...textEncoderArguments(options),
      ...optimizerArguments(options),
      ...schedulerArguments(options, lost),
      loss_type: lossNames[options.loss.kind],
      ...keptArguments(options),
      mixed_precision: 'fp16',
      gradient_checkpointing: true,
      ...(options.randomCrop ? {} : { cache_latents: true }),
      sdpa: true,
    },
    ...(prompts === '' ? {} : { sampling: { sample_prompts: kohyaFileNames.prompts, sample_sampler: 'ddim' } }),
    dataset: { dataset_config: kohyaFileNames.dataset },
  };
  otherLosses(run, lost);
  return {
    config: `# ${comment(run.name)}, written by Loratory.\n# accelerate launch train_network.py --config_file ${kohyaFileNames.config}\n\n${stringify(config)}`,
    dataset: `# The images of ${comment(run.name)}.\n\n${stringify(datasetTables(run, lost))}`,
    prompts,
    needsLycoris: adapter.needsLycoris,
    notCarried,
  };
}

const comment = (text: string): string => text.replaceAll(/[\p{Cc}]/gu, ' ');

function plainOf(table: typeof plainArguments, options: TrainOptions): Arguments {
  const entries = table.map(([name, path]) => [name, optionAt(options, path)] as const);
  return Object.fromEntries(entries.filter(([, value]) => value !== null)) as Arguments;
}

/** Arguments that would switch something on by being there. */
function inactiveArguments(options: TrainOptions): Set<string> {
  const inactive: readonly (readonly [boolean, readonly string[]])[] = [
    [options.clipSkip === 1, ['clip_skip']],
    [options.pyramidNoise.iterations === 0, ['multires_noise_iterations']],
    [options.sampleEvery === 0, ['sample_every_n_steps']],
    [options.sampleEveryEpochs === 0, ['sample_every_n_epochs']],
    [options.checkpoints.everySteps === 0, ['save_every_n_steps']],
    [options.dropout.network === 0, ['network_dropout']],
    [!options.maskedLoss, ['masked_loss']],
    [options.validation.split === 0, ['validation_split', 'validation_seed', 'validate_every_n_steps']],
    [options.validation.everySteps === 0, ['validate_every_n_steps']],
  ];
  return new Set([
    ...inactive.flatMap(([isOff, names]) => (isOff ? names : [])),
    // Written with the network.
    'network_dim',
    'network_alpha',
    'network_dropout',
  ]);
}

type Lose = (option: string, why: string) => void;

/** kohya's own module adapts whole transformers; LyCORIS' can leave parts out, and knows DoRA. */
function adapterArguments(
  options: TrainOptions,
  lost: Lose,
): { readonly arguments: Arguments; readonly needsLycoris: boolean } {
  const { targets, dropout } = options;
  const { attention, feedForward, projections, convolutions } = targets;
  const isWhole = attention && feedForward && projections;
  const isNothing = !attention && !feedForward && !projections && !convolutions;
  const isAttentionOnly = attention && !feedForward && !projections && !convolutions;
  const needsLycoris = options.adapterKind === 'dora' || isAttentionOnly;
  if (!isWhole && !isAttentionOnly && !isNothing) {
    lost('Layers', 'kohya’s trainer has no such choice: it adapts attention, feed-forward and projections together.');
  }
  const args = [
    ...(needsLycoris
      ? [`algo=lora`, `preset=${isAttentionOnly ? 'attn-only' : convolutions ? 'full' : 'attn-mlp'}`]
      : []),
    ...(options.adapterKind === 'dora' ? ['dora_wd=True'] : []),
    ...(convolutions ? [`conv_dim=${options.convRank}`, `conv_alpha=${options.convAlpha}`] : []),
    ...(dropout.rank > 0 ? [`rank_dropout=${dropout.rank}`] : []),
    ...(dropout.module > 0 ? [`module_dropout=${dropout.module}`] : []),
    ...blockArguments(options, needsLycoris, lost),
  ];
  return {
    needsLycoris,
    arguments: {
      network_module: needsLycoris ? 'lycoris.kohya' : 'networks.lora',
      network_dim: options.rank,
      network_alpha: options.alpha,
      ...(dropout.network > 0 ? { network_dropout: dropout.network } : {}),
      ...(args.length > 0 ? { network_args: args } : {}),
      ...(isNothing ? { network_train_text_encoder_only: true } : {}),
    },
  };
}

function blockArguments({ blockLearningRates }: TrainOptions, isLycoris: boolean, lost: Lose): string[] {
  if (Object.keys(blockLearningRates).length === 0) return [];
  const weights = isLycoris ? null : weightsFromRates(blockLearningRates);
  if (weights === null) {
    lost(
      'Block learning rates',
      isLycoris ? 'LyCORIS’ networks have none.' : 'kohya’s trainer has them for whole blocks only.',
    );
    return [];
  }
  const { down, mid, up } = weights;
  return [`down_lr_weight=${down.join(',')}`, `mid_lr_weight=${mid}`, `up_lr_weight=${up.join(',')}`];
}

function textEncoderArguments({ textEncoder }: TrainOptions): Arguments {
  return textEncoder.train ? { text_encoder_lr: textEncoder.learningRate } : { network_train_unet_only: true };
}

const python = (value: boolean): string => (value ? 'True' : 'False');

function optimizerArguments({ optimizer }: TrainOptions): Arguments {
  return { optimizer_type: optimizerNames[optimizer.name], optimizer_args: optimizerArgs(optimizer) };
}

function optimizerArgs(optimizer: OptimizerOptions): string[] {
  const decay = `weight_decay=${optimizer.weightDecay}`;
  const betas = `betas=${optimizer.beta1},${optimizer.beta2}`;
  const eps = `eps=${optimizer.epsilon}`;
  switch (optimizer.name) {
    case 'adamw':
    case 'adamw8bit':
      return [decay, betas, eps];
    case 'lion':
      return [decay, betas];
    case 'prodigy':
      return [
        decay,
        betas,
        eps,
        'decouple=True',
        `d0=${optimizer.initialD}`,
        `d_coef=${optimizer.dCoefficient}`,
        `use_bias_correction=${python(optimizer.biasCorrection)}`,
        `safeguard_warmup=${python(optimizer.safeguardWarmup)}`,
      ];
    case 'adafactor':
      return [
        decay,
        `eps=(${optimizer.epsilon},0.001)`,
        ...(optimizer.beta1 > 0 ? [`beta1=${optimizer.beta1}`] : []),
        `scale_parameter=${python(optimizer.scaleParameter)}`,
        `relative_step=${python(optimizer.relativeStep)}`,
        'warmup_init=False',
      ];
  }
}

function schedulerArguments({ lrScheduler }: TrainOptions, lost: Lose): Arguments {
  const { name, cycles } = lrScheduler;
  if (name === 'cosine' && cycles !== 0.5) lost('Cycles', 'kohya’s cosine always falls once.');
  if (name === 'cosineWithRestarts' && !Number.isInteger(cycles))
    lost('Cycles', 'kohya’s trainer takes whole numbers.');
  return {
    lr_scheduler: schedulerNames[name],
    ...(name === 'cosineWithRestarts' ? { lr_scheduler_num_cycles: Math.max(1, Math.round(cycles)) } : {}),
  };
}

/** kohya counts in steps what stays. */
function keptArguments({ checkpoints }: TrainOptions): Arguments {
  const { everySteps, keep } = checkpoints;
  return everySteps > 0 && keep > 0 ? { save_last_n_steps: (keep - 1) * everySteps } : {};
}

/** With all that the run says of samples, so that they are drawn alike. */
function promptFile(options: TrainOptions): string {
  const { samplePrompts, resolution } = options;
  const negative = options.sampleNegativePrompt.trim();
  return linesOf(
    samplePrompts.map((sample) => ({
      width: resolution,
      height: resolution,
      numInferenceSteps: options.sampleInferenceSteps,
      guidanceScale: options.sampleGuidanceScale,
      ...(negative === '' ? {} : { negativePrompt: negative }),
      ...sample,
      // A line is a prompt.
      prompt: sample.prompt.replaceAll(/\s+/g, ' ').trim(),
    })),
  );
}

function datasetTables(run: KohyaRun, lost: Lose): TomlTableWithoutBigInt {
  const { options, subsets } = run;
  const {
    num_repeats: _,
    batch_size,
    enable_bucket,
    min_bucket_reso,
    max_bucket_reso,
    bucket_reso_steps,
    bucket_no_upscale,
    ...captions
  } = plainOf(datasetArguments, options);
  if (options.flipProbability !== 0 && options.flipProbability !== 0.5) {
    lost(
      trainOptionRules.flipProbability.label,
      'kohya’s trainer mirrors half of the images or none: the nearer is written.',
    );
  }
  return {
    general: { caption_extension: '.txt', flip_aug: options.flipProbability >= 0.25, ...captions },
    datasets: [
      {
        resolution: options.resolution,
        batch_size,
        enable_bucket,
        min_bucket_reso,
        max_bucket_reso,
        bucket_reso_steps,
        bucket_no_upscale,
        subsets: subsets.map(({ imageFolder, repeats, maskFolder }) => ({
          image_dir: imageFolder,
          num_repeats: repeats,
          ...(maskFolder === undefined ? {} : { conditioning_data_dir: maskFolder }),
        })),
      },
    ],
  } as TomlTableWithoutBigInt;
}

function otherLosses({ options, subsets }: KohyaRun, lost: Lose): void {
  if (options.emaDecay !== null) lost(trainOptionRules.emaDecay.label, 'kohya’s trainer has none.');
  if (options.priorPreservation.enabled) {
    const why = `it needs a subset with is_reg = true of class images, e.g. of “${options.priorPreservation.classPrompt}”, which have to be drawn first.`;
    lost(trainOptionRules['priorPreservation.enabled'].label, `In kohya’s trainer ${why}`);
  }
  if (options.maskedLoss && subsets.every(({ maskFolder }) => maskFolder === undefined)) {
    lost(trainOptionRules.maskedLoss.label, 'No image has a mask.');
  }
  if (options.validation.count > 0) {
    lost(trainOptionRules['validation.count'].label, 'kohya’s trainer holds out a share of the images, not a number.');
  }
  if (options.validation.split > 0) lost('Validation timesteps', 'kohya’s trainer has its own.');
  if (options.weightsPrecision === 'int8') {
    lost(trainOptionRules.weightsPrecision.label, 'Half precision (mixed_precision) is written instead.');
  }
}

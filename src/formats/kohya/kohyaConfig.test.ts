// Plan: a config as people write them, read whole and explained; every way to say the same; damaged files refused by name; and the
// round trip: whatever options are written are read back the same, save for those that are named as not carried.
import { describe, expect, it, test } from 'vitest';
import { presets } from '../../core/presets.ts';
import { deriveSeed } from '../../core/rng.ts';
import { completeTrainOptions } from '../../core/trainOptionsJson.ts';
import {
  defaultOptimizer,
  defaultTrainOptions,
  type OptimizerName,
  type TrainOptions,
} from '../../core/trainOptions.ts';
import { ratesFromWeights, weightsFromRates } from './blocks.ts';
import { readKohyaConfig } from './readConfig.ts';
import { writeKohyaConfig } from './writeConfig.ts';

const config = `
[model_arguments]
pretrained_model_name_or_path = "/models/v1-5-pruned.safetensors"
clip_skip = 2

[network]
network_module = "networks.lora"
network_dim = 32
network_alpha = 16
network_args = ["conv_dim=8", "conv_alpha=4", "rank_dropout=0.1", "block_dims=4,4"]

[optimizer]
optimizer_type = "AdamW8bit"
optimizer_args = ["weight_decay=0.1", "betas=0.9,0.99"]
learning_rate = 1e-4
unet_lr = 2e-4
text_encoder_lr = 5e-5
lr_scheduler = "cosine_with_restarts"
lr_scheduler_num_cycles = 3
lr_warmup_steps = 100

[training]
output_name = "my-dog"
output_dir = "/out"
max_train_steps = 2000
train_batch_size = 4
mixed_precision = "bf16"
xformers = true
seed = 1337
min_snr_gamma = 5
noise_offset = 0.05
max_token_length = 225
save_every_n_steps = 500
save_last_n_steps = 1000
shuffle_caption = false
lowram = false
zorble = 3
`;

const dataset = `
[general]
shuffle_caption = true
caption_extension = ".txt"
keep_tokens = 2

[[datasets]]
resolution = [512, 768]
batch_size = 2
enable_bucket = true

  [[datasets.subsets]]
  image_dir = "dog"
  num_repeats = 10
  flip_aug = true
  caption_prefix = "sks dog, "

  [[datasets.subsets]]
  image_dir = "reg"
  is_reg = true

  [[datasets.subsets]]
  image_dir = "more"
  num_repeats = 5
`;

const files = (...texts: string[]) => texts.map((text, i) => ({ name: `${i}.toml`, text }));

describe('reading', () => {
  const read = readKohyaConfig([
    { name: 'config.toml', text: config },
    { name: 'dataset.toml', text: dataset },
    { name: 'prompts.txt', text: '# two\nsks dog --n blurry --d 7 --s 28 --ss euler_a\nsks dog on a beach\n' },
  ]);

  it('takes over what it knows', () => {
    expect(read.options).toEqual({
      ...presets.kohya,
      clipSkip: 2,
      mixedPrecision: 'fp16',
      rank: 32,
      alpha: 16,
      convRank: 8,
      convAlpha: 4,
      targets: { attention: true, feedForward: true, projections: true, convolutions: true },
      dropout: { network: 0, rank: 0.1, module: 0 },
      optimizer: { ...defaultOptimizer('adamw8bit'), weightDecay: 0.1, beta2: 0.99 },
      learningRate: 2e-4,
      textEncoder: { train: true, learningRate: 5e-5 },
      lrScheduler: { name: 'cosineWithRestarts', cycles: 3, warmupSteps: 100, power: 1 },
      maxTrainSteps: 2000,
      trainBatchSize: 2,
      seed: 1337,
      minSnrGamma: 5,
      noiseOffset: 0.05,
      resolution: 624,
      buckets: { ...presets.kohya.buckets, enabled: true },
      shuffleTags: true,
      keepTokens: 2,
      repeats: 10,
      flipProbability: 0.5,
      priorPreservation: { ...presets.kohya.priorPreservation, enabled: true },
      checkpoints: { everySteps: 500, keep: 3 },
      samplePrompts: [
        { prompt: 'sks dog', negativePrompt: 'blurry', seed: 7, numInferenceSteps: 28 },
        { prompt: 'sks dog on a beach', seed: 1338 },
      ],
    } satisfies TrainOptions);
    expect(read).toMatchObject({
      name: 'my-dog',
      triggerWord: 'sks dog',
      modelName: '/models/v1-5-pruned.safetensors',
    });
  });

  it('names what it did not, and why', () => {
    const kinds = (kind: string) => read.notes.filter((note) => note.kind === kind).map(({ argument }) => argument);
    expect(kinds('passed over')).toEqual(['output_dir', 'xformers', 'caption_extension', 'image_dir']);
    expect(kinds('not supported')).toEqual(['max_token_length']);
    expect(kinds('not understood')).toEqual(['network_args', 'sample_prompts', 'zorble']);
    expect(read.notes).toContainEqual({
      argument: 'resolution',
      value: '[512,768]',
      kind: 'changed',
      why: 'The studio counts in squares: 624 px has the same area.',
    });
    expect(read.notes.map(({ why }) => why)).toContain(
      'num_repeats differs between the subsets of dataset.toml: the first one’s counts.',
    );
    expect(read.notes.find(({ argument }) => argument === 'max_token_length')?.why).toBe(
      'Captions are cut after 75 tokens.',
    );
  });

  it.each<[string, Partial<TrainOptions> | object]>([
    ['', presets.kohya],
    ['network_train_unet_only = true', { textEncoder: { train: false, learningRate: 2e-6 } }],
    ['learning_rate = 1e-4', { textEncoder: { train: true, learningRate: 1e-4 } }],
    ['text_encoder_lr = 0', { textEncoder: { train: false, learningRate: 0 } }],
    [
      'network_train_text_encoder_only = true',
      { targets: { attention: false, feedForward: false, projections: false, convolutions: false } },
    ],
    ['mixed_precision = "fp16"', { mixedPrecision: 'fp16' }],
    ['mixed_precision = "no"', { mixedPrecision: 'no' }],
    ['use_8bit_adam = true', { optimizer: defaultOptimizer('adamw8bit') }],
    ['optimizer_type = "PagedAdamW8bit"', { optimizer: defaultOptimizer('adamw8bit') }],
    [
      'optimizer_type = "Prodigy"\noptimizer_args = ["d_coef=2", "use_bias_correction=True"]',
      { optimizer: { ...defaultOptimizer('prodigy'), weightDecay: 0, dCoefficient: 2, biasCorrection: true } },
    ],
    ['optimizer_type = "Lion"', { optimizer: { ...defaultOptimizer('lion'), weightDecay: 0 } }],
    [
      'optimizer_type = "AdaFactor"\noptimizer_args = ["relative_step=False"]',
      { optimizer: { ...defaultOptimizer('adafactor'), scaleParameter: true } },
    ],
    [
      'optimizer_args = "weight_decay=0.5 betas=0.5,0.6"',
      { optimizer: { ...defaultOptimizer('adamw'), weightDecay: 0.5, beta1: 0.5, beta2: 0.6 } },
    ],
    ['resolution = "768,768"', { resolution: 768 }],
    ['resolution = "256"', { resolution: 256 }],
    [
      'lr_scheduler = "cosine"\nlr_scheduler_num_cycles = 4',
      { lrScheduler: { name: 'cosine', warmupSteps: 0, cycles: 0.5, power: 1 } },
    ],
    [
      // A share, of steps that nobody knows before the images are.
      'lr_warmup_steps = 0.1\nmax_train_epochs = 10',
      { lrScheduler: { ...presets.kohya.lrScheduler, warmupSteps: 0.1 }, maxTrainEpochs: 10 },
    ],
    ['network_dim = "16"', { rank: 16 }],
    ['min_snr_gamma = 0', { minSnrGamma: null }],
    ['v_parameterization = true', { predictionType: 'v_prediction' }],
    [
      'network_module = "lycoris.kohya"\nnetwork_args = ["algo=locon", "preset=attn-only", "dora_wd=True"]',
      {
        adapterKind: 'dora',
        targets: { attention: true, feedForward: false, projections: false, convolutions: false },
      },
    ],
    [
      'network_module = "lycoris.kohya"\nnetwork_dim = 16\nnetwork_alpha = 8',
      { targets: { convolutions: true }, rank: 16, alpha: 8, convRank: 16, convAlpha: 8 },
    ],
    ['network_args = ["conv_dim=8"]', { targets: { convolutions: true }, convRank: 8, convAlpha: 1 }],
    [
      'network_args = ["mid_lr_weight=0.5", "down_lr_weight=1,1,1,1,0,1,1,1,1,1,1,1"]',
      { blockLearningRates: { mid_block: 0.5, 'down_blocks.1.attentions.0': 0, 'down_blocks.1.resnets.0': 0 } },
    ],
  ])('%s', (text, expected) => {
    expect(readKohyaConfig(files(text)).options).toMatchObject(expected);
  });

  it.each([
    ['optimizer_type = "DAdaptAdam"', 'optimizer_type', 'not supported', 'Prodigy takes its place.'],
    [
      'network_dim = "many"',
      'network_dim',
      'not understood',
      'Rank was left as it is: it must be a whole number from 1 to 320.',
    ],
    ['network_module = "networks.oft"', 'network_module', 'not supported', 'A plain LoRA is trained instead.'],
    [
      'network_args = ["down_lr_weight=cosine"]',
      'network_args down_lr_weight',
      'not supported',
      'A list of 12 factors is understood.',
    ],
    ['loss_type = "l1"', 'loss_type', 'not supported', 'The squared error (l2) is used.'],
    ['lr_scheduler = "rex"', 'lr_scheduler', 'not supported', 'The rate stays constant.'],
    ['constructor = 1', 'constructor', 'not understood', 'No such argument is known.'],
  ])('%s is named', (text, argument, kind, why) => {
    expect(readKohyaConfig(files(text)).notes).toContainEqual(expect.objectContaining({ argument, kind, why }));
  });

  it('says where a file is broken', () => {
    expect(() => readKohyaConfig(files('a = 1\nb = = 2'))).toThrow(
      /^0\.toml cannot be read as a kohya config: line 2, column \d+: /,
    );
    expect(() => readKohyaConfig(files('datasets = [1]'))).toThrow('datasets is no list of tables');
    expect(() => readKohyaConfig(files('[[datasets]]\nresolution = 512'))).toThrow(
      'it has no [[datasets.subsets]] to train on',
    );
  });
});

test('block weights there and back', () => {
  const draw = (n: number, i: number): number => (deriveSeed(n, 'weight', i) % 4) / 2;
  for (let n = 0; n < 50; n++) {
    const weights = {
      // The first block has no layers.
      down: Array.from({ length: 12 }, (_, i) => (i === 0 || i > 9 ? 1 : draw(n, i))),
      mid: draw(n, 12),
      up: Array.from({ length: 12 }, (_, i) => draw(n, 13 + i)),
    };
    expect(weightsFromRates(ratesFromWeights(weights))).toEqual(weights);
  }
  expect(weightsFromRates({ up_blocks: 0.5 })?.up).toEqual(Array(12).fill(0.5));
  expect(weightsFromRates({ conv_in: 0.5 })).toBeNull();
  expect(weightsFromRates({ 'up_blocks.1.attentions.0': 0.5 })).toBeNull();
  expect(weightsFromRates({ 'down_blocks.0.attentions.0.transformer_blocks': 0.5 })).toBeNull();
});

/** Random options, each within its bounds. */
function randomOptions(seed: number): TrainOptions {
  let n = 0;
  const draw = (below: number): number => deriveSeed(seed, 'options', n++) % below;
  const coin = (): boolean => draw(2) === 0;
  const pick = <T>(...values: readonly T[]): T => values[draw(values.length)] as T;
  const optimizer = pick<OptimizerName>('adamw', 'adamw8bit', 'lion', 'prodigy', 'adafactor');
  return completeTrainOptions({
    // What is written whatever is chosen here: Python's trainers are made for it.
    mixedPrecision: 'fp16',
    adapterKind: pick('lora', 'dora'),
    rank: 1 + draw(128),
    alpha: pick(0.5, 1, 8),
    convRank: 1 + draw(16),
    convAlpha: pick(1, 2.5),
    dropout: { network: pick(0, 0.1), rank: pick(0, 0.25), module: pick(0, 0.5) },
    targets: { attention: coin(), feedForward: coin(), projections: coin(), convolutions: coin() },
    textEncoder: { train: coin(), learningRate: pick(5e-5, 1e-6) },
    blockLearningRates: pick({}, { mid_block: 0.5 }, { 'up_blocks.1': 2 }),
    learningRate: pick(1e-4, 3e-7, 1),
    optimizer: {
      ...defaultOptimizer(optimizer),
      weightDecay: pick(0, 0.01),
      beta1: pick(0.9, 0.95),
      epsilon: pick(1e-8, 1e-30),
      initialD: pick(1e-6, 1e-5),
      biasCorrection: coin(),
      scaleParameter: coin(),
      relativeStep: coin(),
    },
    lrScheduler: {
      name: pick('constant', 'constantWithWarmup', 'linear', 'cosine', 'cosineWithRestarts', 'polynomial'),
      warmupSteps: draw(100),
      cycles: pick(0.5, 1, 3),
      power: pick(1, 2.5),
    },
    trainBatchSize: 1 + draw(8),
    gradientAccumulationSteps: 1 + draw(4),
    maxGradNorm: pick(0, 1, 2.5),
    maxTrainSteps: 1 + draw(5000),
    maxTrainEpochs: pick(null, 10),
    seed: draw(2 ** 31),
    emaDecay: pick(null, 0.999),
    resolution: pick(256, 512, 768),
    buckets: {
      enabled: coin(),
      minSide: pick(256, 320),
      maxSide: pick(768, 1024),
      step: pick(8, 64),
      noUpscale: coin(),
    },
    randomCrop: coin(),
    flipProbability: pick(0, 0.5, 0.1),
    repeats: 1 + draw(20),
    captionDropout: pick(0, 0.05),
    shuffleTags: coin(),
    keepTokens: draw(4),
    clipSkip: 1 + draw(2),
    predictionType: pick(null, 'v_prediction'),
    minSnrGamma: pick(null, 5),
    noiseOffset: pick(0, 0.0375),
    pyramidNoise: { iterations: pick(0, 6), discount: pick(0.3, 0.8) },
    zeroTerminalSnr: coin(),
    loss: {
      kind: pick('l2', 'huber', 'smoothL1'),
      huberDelta: pick(0.1, 0.2),
      huberSchedule: pick('constant', 'exponential', 'snr'),
    },
    validation: { split: pick(0, 0.2), count: pick(0, 3), everySteps: pick(0, 50), seed: draw(100) },
    sampleEvery: pick(0, 100),
    checkpoints: { everySteps: pick(0, 250), keep: pick(0, 1, 3) },
    samplePrompts: [
      { prompt: 'a cat, "quoted"', seed: 7, width: 256, height: 320, numInferenceSteps: 9, guidanceScale: 3.5 },
    ],
  });
}

/** The same factors, each block by itself. */
function byBlocks(rates: TrainOptions['blockLearningRates']): TrainOptions['blockLearningRates'] {
  const weights = weightsFromRates(rates);
  return weights === null ? {} : ratesFromWeights(weights);
}

/** The options as far as they say anything: what is switched off, or was named as not carried, is as the reader has it. */
function effective(options: TrainOptions, lost: ReadonlySet<string>): TrainOptions {
  const base = presets.kohya;
  const { optimizer, targets, lrScheduler, checkpoints, validation } = options;
  const own = defaultOptimizer(optimizer.name);
  const isProdigy = optimizer.name === 'prodigy';
  const isAdafactor = optimizer.name === 'adafactor';
  const usesCycles = lrScheduler.name === 'cosineWithRestarts';
  return {
    ...options,
    convRank: targets.convolutions ? options.convRank : base.convRank,
    convAlpha: targets.convolutions ? options.convAlpha : base.convAlpha,
    targets: lost.has('Layers') ? base.targets : targets,
    blockLearningRates: lost.has('Block learning rates') ? {} : byBlocks(options.blockLearningRates),
    textEncoder: options.textEncoder.train ? options.textEncoder : { train: false, learningRate: options.learningRate },
    optimizer: {
      ...optimizer,
      epsilon: optimizer.name === 'lion' ? own.epsilon : optimizer.epsilon,
      beta2: isAdafactor ? own.beta2 : optimizer.beta2,
      initialD: isProdigy ? optimizer.initialD : own.initialD,
      biasCorrection: isProdigy && optimizer.biasCorrection,
      safeguardWarmup: isProdigy && optimizer.safeguardWarmup,
      scaleParameter: isAdafactor && optimizer.scaleParameter,
      relativeStep: isAdafactor && optimizer.relativeStep,
    },
    lrScheduler: {
      ...lrScheduler,
      cycles:
        lrScheduler.name === 'cosine'
          ? 0.5
          : usesCycles && !lost.has('Cycles')
            ? lrScheduler.cycles
            : base.lrScheduler.cycles,
    },
    emaDecay: null,
    flipProbability: lost.has('Flip') ? 0 : options.flipProbability,
    pyramidNoise: options.pyramidNoise,
    validation: {
      ...base.validation,
      ...(validation.split > 0
        ? { split: validation.split, seed: validation.seed, everySteps: validation.everySteps }
        : {}),
    },
    sampleEvery: options.sampleEvery === 0 ? base.sampleEvery : options.sampleEvery,
    sampleInferenceSteps: base.sampleInferenceSteps,
    checkpoints: checkpoints.everySteps === 0 ? { everySteps: 0, keep: 0 } : checkpoints,
  };
}

test('what is written is read as the same run', () => {
  for (let seed = 0; seed < 400; seed++) {
    const options = randomOptions(seed);
    const subsets = [{ imageFolder: 'dataset/1x', repeats: options.repeats }];
    const written = writeKohyaConfig({ name: 'my "dog"\n', modelName: 'a/b', options, subsets });
    const read = readKohyaConfig([
      { name: 'config.toml', text: written.config },
      { name: 'dataset.toml', text: written.dataset },
      { name: 'sample_prompts.txt', text: written.prompts },
    ]);
    const lost = new Set(written.notCarried.map(({ option }) => option));
    const targets = lost.has('Layers')
      ? { ...presets.kohya.targets, convolutions: options.targets.convolutions }
      : undefined;
    const expected = effective(options, lost);
    expect(read.options, `seed ${seed}\n${written.config}`).toEqual({
      ...expected,
      targets: targets ?? expected.targets,
    });
    expect(
      read.notes.filter(({ kind }) => kind !== 'passed over'),
      `seed ${seed}`,
    ).toEqual(
      // The samples' sampler is said, and is what ours is.
      [expect.objectContaining({ argument: 'sample_sampler' })],
    );
    expect(read.name).toBe('my "dog"\n');
  }
});

test('the report’s preset needs LyCORIS for attention alone, and says what is lost of others', () => {
  const run = { name: 'x', modelName: 'a/b', subsets: [] };
  expect(writeKohyaConfig({ ...run, options: presets.style })).toMatchObject({ needsLycoris: true, notCarried: [] });
  expect(writeKohyaConfig({ ...run, options: presets.kohya })).toMatchObject({ needsLycoris: false, notCarried: [] });
  const options: TrainOptions = {
    ...defaultTrainOptions,
    emaDecay: 0.999,
    flipProbability: 0.2,
    maskedLoss: true,
    weightsPrecision: 'int8',
    mixedPrecision: 'fp16',
    priorPreservation: { enabled: true, weight: 1, classPrompt: 'a dog', classImages: 10 },
  };
  expect(writeKohyaConfig({ ...run, options }).notCarried.map(({ option }) => option)).toEqual([
    'EMA decay',
    'Prior preservation',
    'Masked loss',
    'Weights',
    'Flip',
  ]);
});

/**
 * Everything that a training run can be told: plain data that is stored with the run, sent between page and worker, written into
 * recipes and built from the command line. {@link defaultTrainOptions} says what each option is where nobody sets it; the
 * bounds and the words for them are in trainOptionRules.ts, the reading of older records in trainOptionsJson.ts.
 *
 * Where a technique can be off, its neutral value is off: 0, 1, false or null, as each comment says.
 */

export type AdapterKind = 'lora' | 'dora';
export type OptimizerName = 'adamw' | 'adamw8bit' | 'lion' | 'prodigy' | 'adafactor';
export type LrSchedulerName =
  | 'constant'
  | 'constantWithWarmup'
  | 'linear'
  | 'cosine'
  | 'cosineWithRestarts'
  | 'polynomial';
export type LossKind = 'l2' | 'huber' | 'smoothL1';
export type HuberSchedule = 'constant' | 'exponential' | 'snr';

/** One picture that is drawn again and again while a run learns. What is not given comes from the run's options. */
export interface SamplePrompt {
  readonly prompt: string;
  readonly seed: number;
  readonly negativePrompt?: string;
  /** Pixels. */
  readonly width?: number;
  readonly height?: number;
  readonly numInferenceSteps?: number;
  readonly guidanceScale?: number;
}

export interface DropoutOptions {
  /** Chance that an element of a LoRA's narrow activations (A x) is dropped; what stays is scaled up (kohya's `network_dropout`). */
  readonly network: number;
  /** Chance that a whole row of the rank is dropped, for each example (LyCORIS' `rank_dropout`). */
  readonly rank: number;
  /** Chance that a layer's whole LoRA is left out of a step (kohya's `module_dropout`). */
  readonly module: number;
}

/** Which layers of the UNet learn. */
export interface TargetOptions {
  /** to_q, to_k, to_v and to_out of every attention. */
  readonly attention: boolean;
  /** The two linear layers of every transformer's feed-forward part. */
  readonly feedForward: boolean;
  /** proj_in and proj_out of the transformers. */
  readonly projections: boolean;
  /**
   * The ResNet blocks and the changes of size, as in kohya's LoCon: 3x3 convolutions, with a rank and an alpha of their own, and
   * conv_shortcut and time_emb_proj, with those of the rest.
   */
  readonly convolutions: boolean;
}

export interface OptimizerOptions {
  readonly name: OptimizerName;
  readonly beta1: number;
  /** Unused by Adafactor. */
  readonly beta2: number;
  readonly epsilon: number;
  /** Decoupled from the gradient (AdamW's way) in all of them. */
  readonly weightDecay: number;
  /** Prodigy: the first estimate of the distance to the solution. */
  readonly initialD: number;
  /** Prodigy: factor on its estimate; 1 leaves it alone. */
  readonly dCoefficient: number;
  /** Prodigy: Adam's bias correction. */
  readonly biasCorrection: boolean;
  /** Prodigy: keeps the warm-up's small rates out of the estimate. */
  readonly safeguardWarmup: boolean;
  /** Adafactor: multiplies the rate by the root mean square of the parameter. */
  readonly scaleParameter: boolean;
  /** Adafactor: a rate of its own, min(0.01, 1 / sqrt(step)), in place of the learning rate. */
  readonly relativeStep: boolean;
}

export interface LrSchedulerOptions {
  readonly name: LrSchedulerName;
  /** Optimizer steps over which the rate rises from 0; below 1, as with kohya, the share of all steps. Unused by `constant`. */
  readonly warmupSteps: number;
  /** Of `cosine`: waves until the end, 0.5 falls once. Of `cosineWithRestarts`: how many times it falls. */
  readonly cycles: number;
  /** Of `polynomial`. */
  readonly power: number;
}

/** Aspect-ratio buckets: images keep their shape, those of one shape make a batch. */
export interface BucketOptions {
  readonly enabled: boolean;
  /** Shortest side, pixels. */
  readonly minSide: number;
  /** Longest side, pixels. */
  readonly maxSide: number;
  /** Sides are multiples of it, pixels. */
  readonly step: number;
  /** Images smaller than their bucket are put into a smaller one, not enlarged. */
  readonly noUpscale: boolean;
}

export interface PyramidNoiseOptions {
  /** Coarser noises that are added; 0: off. */
  readonly iterations: number;
  /** Factor from each to the next coarser one. */
  readonly discount: number;
}

export interface LossOptions {
  readonly kind: LossKind;
  /** Where the squared error turns into the absolute one. */
  readonly huberDelta: number;
  /** How delta depends on the timestep. */
  readonly huberSchedule: HuberSchedule;
}

/** DreamBooth's regularisation by pictures of the class, which the studio draws itself. */
export interface PriorPreservationOptions {
  readonly enabled: boolean;
  /** Weight of the class images' loss. */
  readonly weight: number;
  readonly classPrompt: string;
  readonly classImages: number;
}

/** The loss on images that are not trained on, always at the same timesteps and with the same noise. */
export interface ValidationOptions {
  /** Share of the images that is held out; 0: none by share. */
  readonly split: number;
  /** Held out by number, where it is above 0: goes before `split`. */
  readonly count: number;
  /** Optimizer steps between validations; 0: never. */
  readonly everySteps: number;
  /** Timesteps at which every image is validated, in thousandths of the schedule's length. */
  readonly timesteps: readonly number[];
  readonly seed: number;
}

export interface CheckpointOptions {
  /** Optimizer steps between checkpoints that are kept as files; 0: only the latest state is kept, to resume from. */
  readonly everySteps: number;
  /** How many are kept, the latest; 0: all. */
  readonly keep: number;
}

export interface TrainOptions {
  // ---- the adapter
  readonly adapterKind: AdapterKind;
  readonly rank: number;
  /** The adapter's strength is alpha / rank. */
  readonly alpha: number;
  readonly convRank: number;
  readonly convAlpha: number;
  readonly dropout: DropoutOptions;
  readonly targets: TargetOptions;
  /** Trains the text encoder's attention, and its MLPs where `targets.feedForward` is set. */
  readonly textEncoder: { readonly train: boolean; readonly learningRate: number };
  /**
   * Factors on the learning rate by the start of a layer's path, e.g. `up_blocks.1` or `down_blocks.2.attentions.0`; the
   * longest that fits counts, 1 where none does, 0 freezes.
   */
  readonly blockLearningRates: Readonly<Record<string, number>>;

  // ---- the optimizer
  readonly learningRate: number;
  readonly optimizer: OptimizerOptions;
  readonly lrScheduler: LrSchedulerOptions;
  readonly trainBatchSize: number;
  /** Batches whose gradients are averaged to one optimizer step. */
  readonly gradientAccumulationSteps: number;
  /** Gradients with a larger Euclidean norm (all together) are scaled down to it; 0: off. */
  readonly maxGradNorm: number;
  /** Optimizer steps. */
  readonly maxTrainSteps: number;
  /** Where it is set, `maxTrainSteps` follows from it: see core/epochs.ts. */
  readonly maxTrainEpochs: number | null;
  readonly seed: number;
  /** Decay of the exponential moving average of the adapter, which is then what is exported; null: off. */
  readonly emaDecay: number | null;

  // ---- the images
  /** Side of the square whose area images are scaled to, in pixels. */
  readonly resolution: number;
  readonly buckets: BucketOptions;
  readonly randomCrop: boolean;
  /** Chance of a horizontal flip, 0..1. */
  readonly flipProbability: number;
  /** How often an epoch shows each image; an image may have a number of its own. */
  readonly repeats: number;

  // ---- the captions
  /** Chance that a caption is replaced by the empty one, 0..1. */
  readonly captionDropout: number;
  /** Shuffles what stands between commas, anew each time. */
  readonly shuffleTags: boolean;
  /** So many tags at the start stay where they are. */
  readonly keepTokens: number;
  /** 1: the text encoder's last layer (A1111's count). */
  readonly clipSkip: number;

  // ---- the noise and the loss
  /** What the model predicts; null: as its scheduler_config.json says. */
  readonly predictionType: 'epsilon' | 'v_prediction' | null;
  /** Min-SNR weights of the loss (Hang et al. 2023); null: off. */
  readonly minSnrGamma: number | null;
  /** A constant added to each channel of the noise, of this standard deviation; 0: off. */
  readonly noiseOffset: number;
  readonly pyramidNoise: PyramidNoiseOptions;
  /** Moves the noise schedule so that its last timestep is pure noise (Lin et al. 2023). */
  readonly zeroTerminalSnr: boolean;
  readonly loss: LossOptions;
  readonly priorPreservation: PriorPreservationOptions;
  /** Weights the loss by the images' masks, where they have one. */
  readonly maskedLoss: boolean;

  // ---- watching it
  readonly validation: ValidationOptions;
  /** A sample grid every so many steps; 0: never. */
  readonly sampleEvery: number;
  /** The same in epochs; 0: never. */
  readonly sampleEveryEpochs: number;
  readonly samplePrompts: readonly SamplePrompt[];
  readonly sampleInferenceSteps: number;
  readonly sampleGuidanceScale: number;
  readonly sampleNegativePrompt: string;
  readonly checkpoints: CheckpointOptions;

  // ---- memory and speed
  /**
   * `fp16`: the factors of every product with the model's weights are rounded to halves and summed in float32, as torch.autocast has it;
   * gradients are scaled against underflow. `no`: float32 throughout. The GPU must have `shader-f16`.
   */
  readonly mixedPrecision: 'no' | 'fp16';
  /** How the frozen weights are kept: int8 has block-wise scales. */
  readonly weightsPrecision: 'f16' | 'int8';
  /** Megabytes for activations inside segments that are kept rather than computed twice, which changes no bit of the result; 0: none. */
  readonly activationMemory: number;
}

/** What suits each optimizer where nobody says otherwise; the first four go into {@link OptimizerOptions}. */
export const optimizerDefaults: Readonly<
  Record<
    OptimizerName,
    Pick<OptimizerOptions, 'beta1' | 'beta2' | 'epsilon' | 'weightDecay'> & { readonly learningRate: number }
  >
> = {
  adamw: { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 1e-2, learningRate: 1e-4 },
  adamw8bit: { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 1e-2, learningRate: 1e-4 },
  // Lion's steps have the rate's size in every element: the paper takes a tenth of AdamW's rate and ten times its decay.
  lion: { beta1: 0.9, beta2: 0.99, epsilon: 1e-8, weightDecay: 1e-1, learningRate: 1e-5 },
  // Prodigy finds the rate itself: what is given multiplies it.
  prodigy: { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 1e-2, learningRate: 1 },
  adafactor: { beta1: 0, beta2: 0.999, epsilon: 1e-30, weightDecay: 0, learningRate: 1e-4 },
};

/** The options of an optimizer at their defaults. */
export function defaultOptimizer(name: OptimizerName): OptimizerOptions {
  const { beta1, beta2, epsilon, weightDecay } = optimizerDefaults[name];
  return {
    name,
    beta1,
    beta2,
    epsilon,
    weightDecay,
    initialD: 1e-6,
    dCoefficient: 1,
    biasCorrection: false,
    safeguardWarmup: false,
    scaleParameter: false,
    relativeStep: false,
  };
}

/** Every option where nobody says otherwise: plain LoRA on attention, AdamW, nothing fancy. */
export const defaultTrainOptions: TrainOptions = {
  adapterKind: 'lora',
  rank: 4,
  alpha: 4,
  convRank: 4,
  convAlpha: 4,
  dropout: { network: 0, rank: 0, module: 0 },
  targets: { attention: true, feedForward: false, projections: false, convolutions: false },
  textEncoder: { train: false, learningRate: 5e-5 },
  blockLearningRates: {},
  learningRate: 1e-4,
  optimizer: defaultOptimizer('adamw'),
  lrScheduler: { name: 'constant', warmupSteps: 0, cycles: 0.5, power: 1 },
  trainBatchSize: 2,
  gradientAccumulationSteps: 1,
  maxGradNorm: 1,
  maxTrainSteps: 600,
  maxTrainEpochs: null,
  seed: 42,
  emaDecay: null,
  resolution: 512,
  buckets: { enabled: false, minSide: 256, maxSide: 768, step: 64, noUpscale: false },
  randomCrop: false,
  flipProbability: 0,
  repeats: 1,
  captionDropout: 0,
  shuffleTags: false,
  keepTokens: 1,
  clipSkip: 1,
  predictionType: null,
  minSnrGamma: null,
  noiseOffset: 0,
  pyramidNoise: { iterations: 0, discount: 0.35 },
  zeroTerminalSnr: false,
  loss: { kind: 'l2', huberDelta: 0.1, huberSchedule: 'snr' },
  priorPreservation: { enabled: false, weight: 1, classPrompt: '', classImages: 50 },
  maskedLoss: false,
  validation: { split: 0, count: 0, everySteps: 0, timesteps: [100, 300, 500, 700, 900], seed: 1234 },
  sampleEvery: 0,
  sampleEveryEpochs: 0,
  samplePrompts: [],
  sampleInferenceSteps: 20,
  sampleGuidanceScale: 7.5,
  sampleNegativePrompt: '',
  checkpoints: { everySteps: 0, keep: 3 },
  mixedPrecision: 'no',
  weightsPrecision: 'f16',
  // As much as leaves a step of SD 1.5 at 512 px within 2.5 GB at batch 1, and 2.9 GB at batch 2 (bench/memory.test.ts).
  activationMemory: 350,
};

/** A run's options as the header of its LoRA file tells them, in kohya's words. */
import { warmupStepsOf } from '../core/learningRate.ts';
import { pythonFloat, type TrainingFacts } from '../formats/lora/metadata.ts';
import type { LrSchedulerName, OptimizerOptions, TrainOptions } from '../core/trainOptions.ts';

/** kohya's and diffusers' name of each schedule. */
const lrSchedulerNames: Readonly<Record<LrSchedulerName, string>> = {
  constant: 'constant',
  constantWithWarmup: 'constant_with_warmup',
  linear: 'linear',
  cosine: 'cosine',
  cosineWithRestarts: 'cosine_with_restarts',
  polynomial: 'polynomial',
};

/** What the options say of themselves; who, when and on what comes from elsewhere. */
export function trainingFactsOf(
  options: TrainOptions,
): Omit<TrainingFacts, 'name' | 'modelName' | 'triggerWord' | 'captions' | 'startedAt' | 'finishedAt' | 'globalStep'> {
  const { maxTrainSteps, resolution, rank, alpha, learningRate, trainBatchSize, seed, flipProbability } = options;
  const { lrScheduler, dropout, textEncoder } = options;
  return {
    maxTrainSteps,
    resolution,
    rank,
    alpha,
    learningRate,
    trainBatchSize,
    seed,
    flipProbability,
    repeats: options.repeats,
    mixedPrecision: options.mixedPrecision,
    enableBucket: options.buckets.enabled,
    gradientAccumulationSteps: options.gradientAccumulationSteps,
    lrScheduler: lrSchedulerNames[lrScheduler.name],
    lrWarmupSteps: warmupStepsOf(lrScheduler, maxTrainSteps),
    maxGradNorm: options.maxGradNorm,
    captionDropoutRate: options.captionDropout,
    optimizer: pythonOptimizer(options.optimizer),
    ...(textEncoder.train ? { textEncoderLearningRate: textEncoder.learningRate } : {}),
    ...(dropout.network > 0 ? { networkDropout: dropout.network } : {}),
    ...networkFacts(options),
    ...(options.clipSkip > 1 ? { clipSkip: options.clipSkip } : {}),
    ...(options.noiseOffset > 0 ? { noiseOffset: options.noiseOffset } : {}),
    ...(options.minSnrGamma === null ? {} : { minSnrGamma: options.minSnrGamma }),
    ...(options.predictionType === null ? {} : { predictionType: options.predictionType }),
  };
}

/**
 * What --network_module and --network_args would have been: sd-scripts' own LoRA takes conv_dim and the dropouts; DoRA is LyCORIS'
 * `dora_wd`, with magnitudes of outputs.
 */
function networkFacts({
  adapterKind,
  targets,
  convRank,
  convAlpha,
  dropout,
}: TrainOptions): Pick<TrainingFacts, 'networkModule' | 'networkArgs'> {
  const isDora = adapterKind === 'dora';
  const networkArgs = {
    ...(isDora ? { algo: 'lora', dora_wd: 'True', wd_on_output: 'True' } : {}),
    ...(targets.convolutions ? { conv_dim: String(convRank), conv_alpha: String(convAlpha) } : {}),
    ...(dropout.rank > 0 ? { rank_dropout: String(dropout.rank) } : {}),
    ...(dropout.module > 0 ? { module_dropout: String(dropout.module) } : {}),
  };
  return {
    ...(isDora ? { networkModule: 'lycoris.kohya' } : {}),
    ...(Object.keys(networkArgs).length > 0 ? { networkArgs } : {}),
  };
}

/** The optimizer's class and arguments as sd-scripts writes them. */
function pythonOptimizer(optimizer: OptimizerOptions): string {
  const { beta1, beta2, epsilon, weightDecay } = optimizer;
  const decay = `weight_decay=${pythonFloat(weightDecay)}`;
  const betas = `betas=(${pythonFloat(beta1)}, ${pythonFloat(beta2)})`;
  const eps = `eps=${pythonFloat(epsilon)}`;
  const bool = (value: boolean): string => (value ? 'True' : 'False');
  switch (optimizer.name) {
    case 'adamw':
      return `torch.optim.adamw.AdamW(${decay},${betas},${eps})`;
    case 'adamw8bit':
      return `bitsandbytes.optim.adamw.AdamW8bit(${decay},${betas},${eps})`;
    case 'lion':
      return `lion_pytorch.lion_pytorch.Lion(${decay},${betas})`;
    case 'prodigy':
      return `prodigyopt.prodigy.Prodigy(${decay},${betas},${eps},d0=${pythonFloat(optimizer.initialD)},d_coef=${pythonFloat(optimizer.dCoefficient)},use_bias_correction=${bool(optimizer.biasCorrection)},safeguard_warmup=${bool(optimizer.safeguardWarmup)})`;
    case 'adafactor':
      return `transformers.optimization.Adafactor(${decay},scale_parameter=${bool(optimizer.scaleParameter)},relative_step=${bool(optimizer.relativeStep)})`;
  }
}

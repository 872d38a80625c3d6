/** A training batch as numbers: latents sampled from their distribution, noise, the noisy mix, and what the model is to predict. */
import { defined, invariant } from '../core/invariant.ts';
import { deriveSeed, TorchGenerator } from '../core/rng.ts';
import type { LossOptions, TrainOptions } from '../core/trainOptions.ts';
import { type CaptionOptions, drawCaption } from '../dataset/captionDraw.ts';
import { flipMask } from '../dataset/mask.ts';
import { sampleLatents, type CachedLatents } from '../latents/cache.ts';
import type { PromptEmbedding } from '../latents/embeddings.ts';
import { addNoise, getVelocity } from '../schedulers/ddpm.ts';
import { createNoiseSchedule, type PredictionType } from '../schedulers/noiseSchedule.ts';
import type { BatchEntry } from './batches.ts';
import { huberDelta, minSnrWeight, snr } from './lossWeights.ts';
import { trainingNoise, type NoiseOptions } from './noise.ts';

/** One place that an image is cut at. */
export interface ExampleCrop {
  readonly latents: CachedLatents;
  /** What each latent pixel counts, 0..1, [height, width]; null: all count. */
  readonly mask: Float32Array | null;
}

/** One example: an image's latents, and its caption with the trigger word. */
export interface TrainingExample {
  /** All of one size. */
  readonly crops: readonly ExampleCrop[];
  readonly caption: string;
  /** What its loss counts: 1, or prior preservation's weight for a class image. */
  readonly weight: number;
}

/** What turns clean latents and noise into a task. */
export interface DiffusionSettings {
  readonly alphasCumprod: Float32Array;
  readonly predictionType: PredictionType;
  readonly minSnrGamma: number | null;
  readonly loss: LossOptions;
}

/** Clean examples and their noise, [N, h, w, c] row-major. */
export interface BatchParts {
  readonly shape: readonly [n: number, h: number, w: number, c: number];
  readonly clean: Float32Array;
  readonly noise: Float32Array;
  readonly timesteps: readonly number[];
  readonly context: Float32Array;
  readonly contextShape: readonly [n: number, tokens: number, width: number];
  /** The captions' token ids, where the text encoder is trained: its output takes the place of `context`. */
  readonly ids?: readonly Int32Array[];
  /** What dropout is drawn from, another integer for each batch. */
  readonly dropoutDraw?: number;
  /** What each pixel's loss counts, [N, h, w]; 1 where it is not given. */
  readonly mask?: Float32Array;
  /** What each example's loss counts beside its min-SNR weight, [N]: class images have prior preservation's. */
  readonly exampleWeights?: readonly number[];
}

export interface NoisyBatch extends BatchParts {
  readonly noisy: Float32Array;
  /** What the model is to predict: the noise, or v. */
  readonly target: Float32Array;
  /** What each example's loss counts, [N]. */
  readonly weights: Float32Array;
  /** The Huber loss's delta of each example, [N]. */
  readonly deltas: Float32Array;
}

/** The settings of a run on a model with this scheduler_config.json: {@link noiseConfigOf} has been applied to it. */
export function diffusionSettings(
  options: Pick<TrainOptions, 'minSnrGamma' | 'loss'>,
  schedulerConfig: Readonly<Record<string, unknown>>,
): DiffusionSettings {
  const { alphasCumprod, predictionType } = createNoiseSchedule(schedulerConfig);
  return { alphasCumprod, predictionType, minSnrGamma: options.minSnrGamma, loss: options.loss };
}

/** A model's scheduler_config.json as the options change it: for training, and for sampling what was trained so. */
export function noiseConfigOf(
  { predictionType, zeroTerminalSnr }: Pick<TrainOptions, 'predictionType' | 'zeroTerminalSnr'>,
  schedulerConfig: Readonly<Record<string, unknown>>,
): Readonly<Record<string, unknown>> {
  return {
    ...schedulerConfig,
    ...(predictionType === null ? {} : { prediction_type: predictionType }),
    ...(zeroTerminalSnr ? { rescale_betas_zero_snr: true } : {}),
  };
}

/** Mixes clean latents and noise at each example's timestep, and says what the model should answer and how much it counts. */
export function noiseBatch(parts: BatchParts, settings: DiffusionSettings): NoisyBatch {
  const { clean, noise, timesteps, exampleWeights } = parts;
  const { alphasCumprod, predictionType, minSnrGamma, loss } = settings;
  invariant(predictionType !== 'sample', 'Models that predict the clean sample cannot be trained here');
  const weightOf = (timestep: number): number =>
    minSnrGamma === null ? 1 : minSnrWeight(snr(alphasCumprod, timestep), minSnrGamma, predictionType);
  return {
    ...parts,
    noisy: addNoise(alphasCumprod, clean, noise, timesteps),
    target: predictionType === 'epsilon' ? noise : getVelocity(alphasCumprod, clean, noise, timesteps),
    weights: Float32Array.from(timesteps, (timestep, i) => weightOf(timestep) * (exampleWeights?.[i] ?? 1)),
    deltas: Float32Array.from(timesteps, (timestep) => huberDelta(loss, timestep, alphasCumprod)),
  };
}

export interface BuildBatchOptions extends NoiseOptions, CaptionOptions {
  readonly seed: number;
  /** The batch's number, which {@link planBatch} was given too. */
  readonly batch: number;
  readonly scalingFactor: number;
  readonly settings: DiffusionSettings;
  readonly maskedLoss: boolean;
  /** The embedding of a caption as {@link captionsOf} gives it. */
  readonly embeddingOf: (caption: string) => PromptEmbedding;
}

/** The captions of a planned batch as they are read this time. */
export function captionsOf(
  entries: readonly Pick<BatchEntry, 'image' | 'caption'>[],
  examples: readonly TrainingExample[],
  options: CaptionOptions,
): string[] {
  return entries.map(({ image, caption }) => drawCaption(defined(examples[image]).caption, caption, options));
}

/** The token ids that prompts were read as; none of prompts that were not read in one piece, which cannot train a text encoder. */
export function idsOf(embeddings: readonly PromptEmbedding[]): Int32Array[] {
  return embeddings.flatMap(({ ids }) => (ids ? [ids] : []));
}

/** Puts numbers to a planned batch. */
export function buildBatch(
  entries: readonly BatchEntry[],
  examples: readonly TrainingExample[],
  options: BuildBatchOptions,
): NoisyBatch {
  const { seed, batch, scalingFactor, settings, maskedLoss, embeddingOf } = options;
  const drawn = entries.map(({ image, crop }) => defined(defined(examples[image]).crops[crop]));
  const { height, width, channels } = defined(drawn[0]).latents;
  const embeddings = captionsOf(entries, examples, options).map(embeddingOf);
  const { tokens, width: contextWidth } = defined(embeddings[0]);
  const size = height * width * channels;
  const n = entries.length;
  const shape = [n, height, width, channels] as const;
  const posterior = new TorchGenerator(deriveSeed(seed, 'posterior', batch)).randn(n * size);
  const clean = new Float32Array(n * size);
  const context = new Float32Array(n * tokens * contextWidth);
  const masks = new Float32Array(n * height * width).fill(1);
  entries.forEach(({ flipped }, i) => {
    const { latents, mask } = defined(drawn[i]);
    invariant(latents.height === height && latents.width === width, 'Images of a batch must have one size');
    const moments = flipped ? defined(latents.flipped) : latents.plain;
    clean.set(sampleLatents(moments, posterior.subarray(i * size, (i + 1) * size), scalingFactor), i * size);
    context.set(defined(embeddings[i]).values, i * tokens * contextWidth);
    if (mask) masks.set(flipped ? flipMask(mask, width) : mask, i * height * width);
  });
  return noiseBatch(
    {
      shape,
      clean,
      noise: trainingNoise(shape, options, { seed, batch }),
      timesteps: entries.map((entry) => entry.timestep),
      context,
      contextShape: [n, tokens, contextWidth],
      ids: idsOf(embeddings),
      dropoutDraw: deriveSeed(seed, 'dropout', batch),
      ...(maskedLoss ? { mask: masks } : {}),
      exampleWeights: entries.map(({ image }) => defined(examples[image]).weight),
    },
    settings,
  );
}

/**
 * The clean latents that the model's answer points to: (noisy - sqrt(1 - a) * noise) / sqrt(a), or sqrt(a) * noisy - sqrt(1 - a) * v. From pure
 * noise the first has no answer: it is taken at the least a that a half can hold.
 */
export function predictClean(
  batch: Pick<NoisyBatch, 'shape' | 'noisy' | 'timesteps'>,
  prediction: Float32Array,
  { alphasCumprod, predictionType }: Pick<DiffusionSettings, 'alphasCumprod' | 'predictionType'>,
): Float32Array {
  const [n] = batch.shape;
  const size = batch.noisy.length / n;
  return prediction.map((predicted, j) => {
    const a = Math.max(alphasCumprod[batch.timesteps[Math.floor(j / size)]!]!, 2 ** -24);
    const [signal, sigma] = [Math.sqrt(a), Math.sqrt(1 - a)];
    const noisy = batch.noisy[j]!;
    return predictionType === 'v_prediction'
      ? signal * noisy - sigma * predicted
      : (noisy - sigma * predicted) / signal;
  });
}

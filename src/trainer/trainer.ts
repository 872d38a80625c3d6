/**
 * The training loop's one step: noise latents, predict the noise, mean squared error, gradients, AdamW.
 *
 * This is diffusers' `train_text_to_image_lora.py` for epsilon-prediction without its options; those come one by one.
 */
import type { TrainableAdapter } from '../adapter/trainable.ts';
import { defined, invariant } from '../core/invariant.ts';
import { deriveSeed, TorchGenerator } from '../core/rng.ts';
import {
  adamwStep,
  createAdamState,
  disposeAdamState,
  meanSquaredError,
  readTensor,
  tensor,
  type AdamState,
  type Tensor,
} from '../gpu/ops.ts';
import { sampleLatents, type CachedLatents } from '../latents/cache.ts';
import type { PromptEmbedding } from '../latents/embeddings.ts';
import type { UNet2DCondition } from '../models/unet.ts';
import { checkpointedGradients, type Segment } from '../nn/segments.ts';
import { addNoise } from '../schedulers/ddpm.ts';
import type { BatchEntry } from './batches.ts';

export interface AdamWOptions {
  readonly learningRate: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  readonly weightDecay: number;
}

/** The report's optimizer. */
export const defaultAdamW: AdamWOptions = {
  learningRate: 1e-4,
  beta1: 0.9,
  beta2: 0.999,
  epsilon: 1e-8,
  weightDecay: 1e-2,
};

/** One example: an image's latents and its caption's embedding. */
export interface TrainingExample {
  readonly latents: CachedLatents;
  readonly embedding: PromptEmbedding;
}

/** A batch as numbers, [N, h, w, c] row-major. */
export interface NoisyBatch {
  readonly shape: readonly [n: number, h: number, w: number, c: number];
  readonly clean: Float32Array;
  readonly noise: Float32Array;
  readonly noisy: Float32Array;
  readonly timesteps: readonly number[];
  readonly context: Float32Array;
  readonly contextShape: readonly [n: number, tokens: number, width: number];
}

export interface StepResult {
  readonly loss: number;
  /** The predicted noise, [N, h, w, c]. */
  readonly prediction: Float32Array;
  /** Euclidean norm of all gradients together, where it was asked for. */
  readonly gradientNorm: number | null;
}

/** Trains `adapter`, plugged into `unet`. Owns the optimizer's state only. */
export class LoraTrainer {
  private readonly segments: readonly Segment[];
  private readonly parameters: readonly Tensor[];
  private readonly optimizer: AdamState;
  private readonly one = tensor(Float32Array.of(1), []);
  /** Optimizer steps done. */
  private globalStep = 0;

  constructor(
    private readonly unet: UNet2DCondition,
    adapter: TrainableAdapter,
    private readonly options: AdamWOptions,
  ) {
    this.segments = withLoss(unet.segments());
    this.parameters = adapter.parameters();
    this.optimizer = createAdamState(this.parameters);
  }

  /** One optimizer step on `batch`. `gradientNorm` reads all gradients back: for checks, not for training. */
  async step(batch: NoisyBatch, { gradientNorm = false } = {}): Promise<StepResult> {
    const { gradients, outputs } = this.gradients(batch);
    const norm = gradientNorm ? await normOf(gradients) : null;
    this.globalStep++;
    adamwStep(this.parameters, gradients, this.optimizer, { ...this.options, step: this.globalStep });
    for (const gradient of gradients) gradient.dispose();
    return { ...(await readOutputs(outputs)), gradientNorm: norm };
  }

  dispose(): void {
    disposeAdamState(this.optimizer);
    this.one.dispose();
  }

  private gradients(batch: NoisyBatch): { gradients: Tensor[]; outputs: Map<string, Tensor> } {
    const inputs = new Map([
      ['sample', tensor(batch.noisy, batch.shape)],
      ['target', tensor(batch.noise, batch.shape)],
      ['context', tensor(batch.context, batch.contextShape)],
      ['time', this.unet.embedTime(batch.timesteps)],
    ]);
    const result = checkpointedGradients(this.segments, inputs, this.parameters, { loss: 'loss', one: this.one });
    for (const input of inputs.values()) input.dispose();
    return { gradients: result.parameters.map((gradient) => defined(gradient, 'gradient')), outputs: result.outputs };
  }
}

async function readOutputs(
  outputs: ReadonlyMap<string, Tensor>,
): Promise<{ readonly loss: number; readonly prediction: Float32Array }> {
  const [lossValues, prediction] = await Promise.all([
    readTensor(defined(outputs.get('loss'))),
    readTensor(defined(outputs.get('out'))),
  ]);
  for (const output of outputs.values()) output.dispose();
  return { loss: lossValues[0]!, prediction };
}

async function normOf(gradients: readonly Tensor[]): Promise<number> {
  let sum = 0;
  for (const gradient of gradients) for (const value of await readTensor(gradient)) sum += value ** 2;
  return Math.sqrt(sum);
}

/** Extends the last segment, which writes `out`, by the mean squared error against `target`, written as `loss`. */
export function withLoss(segments: readonly Segment[]): Segment[] {
  const last = defined(segments.at(-1), 'last segment');
  const end: Segment = {
    name: `${last.name} and loss`,
    reads: [...last.reads, 'target'],
    writes: [...last.writes, 'loss'],
    parameters: () => last.parameters(),
    run: (inputs) => {
      const outputs = last.run(inputs.slice(0, -1));
      return [...outputs, meanSquaredError(outputs[0]!, inputs.at(-1)!)];
    },
  };
  return [...segments.slice(0, -1), end];
}

/** Puts numbers to a planned batch: latents sampled from their distribution, noise, and the noisy mix at each timestep. */
export function buildBatch(
  entries: readonly BatchEntry[],
  examples: readonly TrainingExample[],
  {
    seed,
    step,
    scalingFactor,
    alphasCumprod,
  }: {
    readonly seed: number;
    readonly step: number;
    readonly scalingFactor: number;
    readonly alphasCumprod: Float32Array;
  },
): NoisyBatch {
  const first = defined(examples[defined(entries[0]).image]);
  const { height, width, channels } = first.latents;
  const { tokens, width: contextWidth } = first.embedding;
  const size = height * width * channels;
  const n = entries.length;
  const posterior = new TorchGenerator(deriveSeed(seed, 'posterior', step)).randn(n * size);
  const noise = new TorchGenerator(deriveSeed(seed, 'noise', step)).randn(n * size);
  const clean = new Float32Array(n * size);
  const context = new Float32Array(n * tokens * contextWidth);
  entries.forEach(({ image, flipped }, i) => {
    const { latents, embedding } = defined(examples[image]);
    invariant(latents.height === height && latents.width === width, 'Images of a batch must have one size');
    const moments = flipped ? defined(latents.flipped) : latents.plain;
    clean.set(sampleLatents(moments, posterior.subarray(i * size, (i + 1) * size), scalingFactor), i * size);
    context.set(embedding.values, i * tokens * contextWidth);
  });
  const timesteps = entries.map((entry) => entry.timestep);
  return {
    shape: [n, height, width, channels],
    clean,
    noise,
    noisy: addNoise(alphasCumprod, clean, noise, timesteps),
    timesteps,
    context,
    contextShape: [n, tokens, contextWidth],
  };
}

/** The model's present guess of the clean latents: (noisy - sqrt(1 - a) * predicted noise) / sqrt(a). */
export function predictClean(batch: NoisyBatch, prediction: Float32Array, alphasCumprod: Float32Array): Float32Array {
  const [n] = batch.shape;
  const size = batch.noisy.length / n;
  return prediction.map((predicted, j) => {
    const a = alphasCumprod[batch.timesteps[Math.floor(j / size)]!]!;
    return (batch.noisy[j]! - Math.sqrt(1 - a) * predicted) / Math.sqrt(a);
  });
}

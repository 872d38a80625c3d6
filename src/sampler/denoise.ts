/**
 * The denoising loop of a Stable Diffusion pipeline with classifier-free guidance (Ho & Salimans 2021), which can be limited to a part of
 * the walk, and with calls that reuse the depth of the UNet's last whole one: see core/shortcuts.ts.
 */
import { joinFloats } from '../core/floats.ts';
import { defined, invariant } from '../core/invariant.ts';
import { planCalls, workDone, type PlannedCall, type Shortcuts } from '../core/shortcuts.ts';
import { readTensor, tensor, type Tensor } from '../gpu/ops.ts';
import { withPrecision, type Precision } from '../gpu/precision.ts';
import type { PromptEmbedding } from '../latents/embeddings.ts';
import { CrossAttentionCache } from '../models/spatialTransformer.ts';
import type { UNet2DCondition } from '../models/unet.ts';
import type { DrawNoise, Scheduler } from '../schedulers/types.ts';
import { DeepFeatures, type Rows } from './deepFeatures.ts';

/** A prompt that changes on the way: what the UNet's call number `call`, counted from 0, is conditioned on. */
export type EmbeddingOfCall = (call: number) => PromptEmbedding;

export interface DenoiseOptions extends Shortcuts {
  readonly unet: UNet2DCondition;
  readonly scheduler: Scheduler;
  /** Samples that are denoised together, 1 unless it says otherwise. */
  readonly count?: number;
  /** Noise of unit variance, [count, h, w, c]: of the start, if none is given, and then of the steps, for schedulers that want it. */
  readonly noise: DrawNoise;
  /** Latents [count, h, w, c] that were brought to the noise level of entry `from` of the timesteps already (image to image). */
  readonly start?: { readonly latents: Float32Array; readonly from: number };
  readonly shape: readonly [h: number, w: number, c: number];
  readonly promptEmbeds: PromptEmbedding | EmbeddingOfCall;
  readonly negativePromptEmbeds: PromptEmbedding | EmbeddingOfCall;
  /** At 1 or below the negative prompt is not used, as in diffusers. */
  readonly guidanceScale: number;
  /** Of the UNet's products; f32, if not given. */
  readonly precision?: Precision;
  /** So many rows (pictures, twice with guidance) go through the UNet at once; as many as the GPU takes, if not given. */
  readonly rowsAtOnce?: number;
  /** What goes on instead of the latents after entry `i` of the timesteps: inpainting puts back what the mask keeps. */
  readonly adjust?: (latents: Float32Array, i: number) => Float32Array;
  readonly signal?: AbortSignal;
  /** Asked after each step: true ends the walk there. */
  readonly interrupted?: () => boolean;
  /**
   * Called after each step with the latents as they are then, the clean ones that the step pointed to, and the share of the walk's work
   * that is done, 0..1. The next step waits for it.
   */
  readonly onStep?: (
    step: number,
    latents: Float32Array,
    clean: () => Float32Array,
    done: number,
  ) => void | Promise<void>;
}

/** Denoises latents of one picture or several, [count, h, w, c], scaled as the UNet sees them. */
export async function denoise(options: DenoiseOptions): Promise<Float32Array> {
  const { unet, scheduler, count = 1, noise, start, shape, promptEmbeds, negativePromptEmbeds } = options;
  const { guidanceScale, adjust, signal, interrupted, onStep, precision = 'f32' } = options;
  const rowsAtOnce = Math.min(options.rowsAtOnce ?? Infinity, unet.maxRows(shape[0], shape[1]));
  // Both are kept, so that a walk whose guidance begins or ends on the way prepares each once.
  const contexts = { guided: new Context(0, count, rowsAtOnce), alone: new Context(count, count, rowsAtOnce) };
  const deep = new DeepFeatures();
  const from = start?.from ?? 0;
  const embeddingsAt = (call: number): [PromptEmbedding, PromptEmbedding] => [
    embeddingAt(negativePromptEmbeds, call),
    embeddingAt(promptEmbeds, call),
  ];
  const plan = planCalls({
    ...options,
    calls: scheduler.timesteps.length - from,
    changes: (call) => {
      const before = call === 0 ? null : embeddingsAt(call - 1);
      return before !== null && embeddingsAt(call).some((embedding, i) => embedding !== before[i]);
    },
  });
  const done = workDone(plan);
  let latents = start?.latents ?? noise().map((value) => value * scheduler.initNoiseSigma);
  try {
    for (const [call, planned] of plan.entries()) {
      const i = from + call;
      signal?.throwIfAborted();
      const before = latents;
      const [negative, prompt] = embeddingsAt(call);
      const context = planned.guided ? contexts.guided : contexts.alone;
      context.set(planned.guided ? [negative, prompt] : [prompt]);
      const input = repeat(scheduler.scaleModelInput(before, i), planned.guided ? 2 : 1);
      const keeps = plan[call + 1]?.whole === false;
      const predicted = await predict(unet, context, input, scheduler.timesteps[i]!, shape, {
        planned,
        deep,
        keeps,
        precision,
      });
      const output = planned.guided ? guide(predicted, guidanceScale) : predicted;
      const next = scheduler.step(output, i, before, noise);
      latents = adjust ? adjust(next, i) : next;
      await onStep?.(i + 1, latents, () => scheduler.predOriginalSample(output, i, before), done[call]!);
      if (interrupted?.()) break;
    }
  } finally {
    contexts.guided.dispose();
    contexts.alone.dispose();
    deep.dispose();
  }
  return latents;
}

function embeddingAt(embeds: PromptEmbedding | EmbeddingOfCall, call: number): PromptEmbedding {
  return typeof embeds === 'function' ? embeds(call) : embeds;
}

/** How a call goes: what is kept of it lies in `deep` from then on. */
interface Call {
  readonly planned: PlannedCall;
  readonly deep: DeepFeatures;
  /** Whether the next call reuses this one. */
  readonly keeps: boolean;
  readonly precision: Precision;
}

/** The UNet's output for all rows of `input`, part by part. */
async function predict(
  unet: UNet2DCondition,
  context: Context,
  input: Float32Array,
  timestep: number,
  shape: readonly [number, number, number],
  { planned: { whole }, deep, keeps, precision }: Call,
): Promise<Float32Array> {
  const size = shape[0] * shape[1] * shape[2];
  const outputs: Float32Array[] = [];
  if (whole) deep.dispose();
  for (const { rows, tensor: conditioning, cache } of context.parts) {
    const [first, end] = rows;
    const at = (first - context.firstRow) * size;
    const sample = tensor(input.slice(at, at + (end - first) * size), [end - first, ...shape]);
    const timesteps = Array.from({ length: end - first }, () => timestep);
    const forward = (): Tensor => {
      if (!whole) return unet.forwardShallow(sample, timesteps, conditioning, deep.of(rows), cache);
      if (!keeps) return unet.forward(sample, timesteps, conditioning, cache);
      const kept = unet.forwardKeeping(sample, timesteps, conditioning, cache);
      deep.keep(rows, kept.deep);
      return kept.output;
    };
    try {
      const predicted = withPrecision(precision, forward);
      try {
        outputs.push(await readTensor(predicted));
      } finally {
        predicted.dispose();
      }
    } finally {
      sample.dispose();
    }
  }
  return outputs.length === 1 ? defined(outputs[0]) : joinFloats(outputs);
}

/** uncond + scale * (cond - uncond), in float32, for a batch of [negative, prompt]. */
function guide(values: Float32Array, guidanceScale: number): Float32Array {
  const size = values.length / 2;
  const out = new Float32Array(size);
  for (let j = 0; j < size; j++) {
    const unconditional = values[j]!;
    out[j] = unconditional + Math.fround(guidanceScale * Math.fround(values[size + j]! - unconditional));
  }
  return out;
}

function repeat(values: Float32Array, copies: number): Float32Array {
  const out = new Float32Array(values.length * copies);
  for (let i = 0; i < copies; i++) out.set(values, i * values.length);
  return out;
}

/** Rows that go through the UNet together, with what they are conditioned on: [rows, tokens, width]. */
interface ContextPart {
  readonly rows: Rows;
  readonly tensor: Tensor;
  readonly cache: CrossAttentionCache;
}

/** The embeddings on the GPU, with what the cross attentions make of them; uploaded and computed again only when they change. */
class Context {
  private embeddings: readonly PromptEmbedding[] = [];
  parts: readonly ContextPart[] = [];

  /** Each prompt stands `count` times, one after the other, the first from `firstRow` on. */
  constructor(
    readonly firstRow: number,
    private readonly count: number,
    private readonly rowsAtOnce: number,
  ) {}

  set(embeddings: readonly PromptEmbedding[]): void {
    if (this.parts.length > 0 && embeddings.every((embedding, i) => embedding === this.embeddings[i])) return;
    this.dispose();
    const { firstRow, count, rowsAtOnce } = this;
    const { tokens, width } = defined(embeddings[0]);
    const total = embeddings.length * count;
    const parts: ContextPart[] = [];
    for (let first = 0; first < total; first += rowsAtOnce) {
      const end = Math.min(total, first + rowsAtOnce);
      const values = new Float32Array((end - first) * tokens * width);
      for (let row = first; row < end; row++) {
        const embedding = defined(embeddings[Math.floor(row / count)]);
        invariant(embedding.tokens === tokens && embedding.width === width, 'Prompts must be encoded to one size');
        values.set(embedding.values, (row - first) * tokens * width);
      }
      parts.push({
        rows: [firstRow + first, firstRow + end],
        tensor: tensor(values, [end - first, tokens, width]),
        cache: new CrossAttentionCache(),
      });
    }
    this.embeddings = embeddings;
    this.parts = parts;
  }

  dispose(): void {
    for (const part of this.parts) {
      part.tensor.dispose();
      part.cache.dispose();
    }
    this.parts = [];
  }
}

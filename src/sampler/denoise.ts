/** The denoising loop of a Stable Diffusion pipeline with classifier-free guidance (Ho & Salimans 2021). */
import { defined, invariant } from '../core/invariant.ts';
import { readTensor, tensor, type Tensor } from '../gpu/ops.ts';
import type { PromptEmbedding } from '../latents/embeddings.ts';
import type { UNet2DCondition } from '../models/unet.ts';
import type { DrawNoise, Scheduler } from '../schedulers/types.ts';

/** A prompt that changes on the way: what the UNet's call number `call`, counted from 0, is conditioned on. */
export type EmbeddingOfCall = (call: number) => PromptEmbedding;

export interface DenoiseOptions {
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
  /** What goes on instead of the latents after entry `i` of the timesteps: inpainting puts back what the mask keeps. */
  readonly adjust?: (latents: Float32Array, i: number) => Float32Array;
  readonly signal?: AbortSignal;
  /** Asked after each step: true ends the walk there. */
  readonly interrupted?: () => boolean;
  /** Called after each step with the latents as they are then, and the clean ones that the step pointed to. The next step waits for it. */
  readonly onStep?: (step: number, latents: Float32Array, clean: () => Float32Array) => void | Promise<void>;
}

/** Denoises latents of one picture or several, [count, h, w, c], scaled as the UNet sees them. */
export async function denoise(options: DenoiseOptions): Promise<Float32Array> {
  const { unet, scheduler, count = 1, noise, start, shape, promptEmbeds, negativePromptEmbeds } = options;
  const { guidanceScale, adjust, signal, interrupted, onStep } = options;
  const guided = guidanceScale > 1;
  const prompts = guided ? [negativePromptEmbeds, promptEmbeds] : [promptEmbeds];
  const context = new Context(count);
  let call = 0;
  let latents = start?.latents ?? noise().map((value) => value * scheduler.initNoiseSigma);
  const from = start?.from ?? 0;
  try {
    for (const [i, timestep] of scheduler.timesteps.entries()) {
      if (i < from) continue;
      signal?.throwIfAborted();
      const before = latents;
      const input = scheduler.scaleModelInput(before, i);
      const rows = count * prompts.length;
      const sample = tensor(repeat(input, prompts.length), [rows, ...shape]);
      const predicted = unet.forward(
        sample,
        Array.from({ length: rows }, () => timestep),
        context.of(prompts.map((embeds) => (typeof embeds === 'function' ? embeds(call) : embeds))),
      );
      call++;
      const values = await readTensor(predicted);
      predicted.dispose();
      sample.dispose();
      const output = guided ? guide(values, guidanceScale) : values;
      const next = scheduler.step(output, i, before, noise);
      latents = adjust ? adjust(next, i) : next;
      await onStep?.(i + 1, latents, () => scheduler.predOriginalSample(output, i, before));
      if (interrupted?.()) break;
    }
  } finally {
    context.dispose();
  }
  return latents;
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

/** The batch of embeddings on the GPU; uploaded again only when it changes. */
class Context {
  private embeddings: readonly PromptEmbedding[] = [];
  private onGpu: Tensor | null = null;

  /** Each prompt stands `count` times, one after the other. */
  constructor(private readonly count: number) {}

  /** [prompts * count, tokens, width] */
  of(embeddings: readonly PromptEmbedding[]): Tensor {
    if (this.onGpu && embeddings.every((embedding, i) => embedding === this.embeddings[i])) return this.onGpu;
    this.dispose();
    const { count } = this;
    const { tokens, width } = defined(embeddings[0]);
    const values = new Float32Array(embeddings.length * count * tokens * width);
    embeddings.forEach((embedding, i) => {
      invariant(embedding.tokens === tokens && embedding.width === width, 'Prompts must be encoded to one size');
      for (let k = 0; k < count; k++) values.set(embedding.values, (i * count + k) * tokens * width);
    });
    this.embeddings = embeddings;
    this.onGpu = tensor(values, [embeddings.length * count, tokens, width]);
    return this.onGpu;
  }

  dispose(): void {
    this.onGpu?.dispose();
    this.onGpu = null;
  }
}

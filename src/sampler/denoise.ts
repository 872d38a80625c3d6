/** The denoising loop of a Stable Diffusion pipeline with classifier-free guidance (Ho & Salimans 2021). */
import { invariant } from '../core/invariant.ts';
import { readTensor, tensor, type Tensor } from '../gpu/ops.ts';
import type { PromptEmbedding } from '../latents/embeddings.ts';
import type { UNet2DCondition } from '../models/unet.ts';
import type { DrawNoise, Scheduler } from '../schedulers/types.ts';

/** A prompt that changes on the way: what the UNet's call number `call`, counted from 0, is conditioned on. */
export type EmbeddingOfCall = (call: number) => PromptEmbedding;

export interface DenoiseOptions {
  readonly unet: UNet2DCondition;
  readonly scheduler: Scheduler;
  /** Noise of unit variance, [h, w, c]: of the start, if none is given, and then of the steps, for schedulers that want it. */
  readonly noise: DrawNoise;
  /** Latents [h, w, c] that were brought to the noise level of entry `from` of the timesteps already (image to image). */
  readonly start?: { readonly latents: Float32Array; readonly from: number };
  readonly shape: readonly [h: number, w: number, c: number];
  readonly promptEmbeds: PromptEmbedding | EmbeddingOfCall;
  readonly negativePromptEmbeds: PromptEmbedding | EmbeddingOfCall;
  /** At 1 or below the negative prompt is not used, as in diffusers. */
  readonly guidanceScale: number;
  readonly signal?: AbortSignal;
  /** Called after each step with the latents as they are then. */
  readonly onStep?: (step: number, latents: Float32Array) => void;
}

/** Denoises one image's latents, [h, w, c], scaled as the UNet sees them. */
export async function denoise(options: DenoiseOptions): Promise<Float32Array> {
  const { unet, scheduler, noise, start, shape, promptEmbeds, negativePromptEmbeds, guidanceScale, signal, onStep } =
    options;
  const guided = guidanceScale > 1;
  const prompts = guided ? [negativePromptEmbeds, promptEmbeds] : [promptEmbeds];
  const context = new Context();
  let call = 0;
  let latents = start?.latents ?? noise().map((value) => value * scheduler.initNoiseSigma);
  const from = start?.from ?? 0;
  try {
    for (const [i, timestep] of scheduler.timesteps.entries()) {
      if (i < from) continue;
      signal?.throwIfAborted();
      const input = scheduler.scaleModelInput(latents, i);
      const copies = guided ? 2 : 1;
      const sample = tensor(repeat(input, copies), [copies, ...shape]);
      const predicted = unet.forward(
        sample,
        Array.from({ length: copies }, () => timestep),
        context.of(prompts.map((embeds) => (typeof embeds === 'function' ? embeds(call) : embeds))),
      );
      call++;
      const values = await readTensor(predicted);
      predicted.dispose();
      sample.dispose();
      latents = scheduler.step(guided ? guide(values, guidanceScale) : values, i, latents, noise);
      onStep?.(i + 1, latents);
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

  /** [prompts, tokens, width] */
  of(embeddings: readonly PromptEmbedding[]): Tensor {
    if (this.onGpu && embeddings.every((embedding, i) => embedding === this.embeddings[i])) return this.onGpu;
    this.dispose();
    const { tokens, width } = embeddings[0]!;
    const values = new Float32Array(embeddings.length * tokens * width);
    embeddings.forEach((embedding, i) => {
      invariant(embedding.tokens === tokens && embedding.width === width, 'Prompts must be encoded to one size');
      values.set(embedding.values, i * tokens * width);
    });
    this.embeddings = embeddings;
    this.onGpu = tensor(values, [embeddings.length, tokens, width]);
    return this.onGpu;
  }

  dispose(): void {
    this.onGpu?.dispose();
    this.onGpu = null;
  }
}

/** The sample grid: the same prompts and seeds, drawn again and again while the adapter learns. */
import type { RgbImage } from '../core/image.ts';
import { defined } from '../core/invariant.ts';
import { trimMemory } from '../gpu/ops.ts';
import type { PromptEmbedding } from '../latents/embeddings.ts';
import type { DiffusionModel } from '../models/repository.ts';
import type { UNet2DCondition } from '../models/unet.ts';
import { denoise } from '../sampler/denoise.ts';
import { decodeLatents } from '../sampler/image.ts';
import { noiseSource } from '../sampler/noise.ts';
import { createScheduler } from '../schedulers/index.ts';
import { noiseConfigOf } from '../trainer/batch.ts';
import type { TrainOptions } from '../core/trainOptions.ts';

export interface SampleReport {
  readonly globalStep: number;
  readonly images: readonly { readonly prompt: string; readonly seed: number; readonly image: RgbImage }[];
}

export interface SampleOptions {
  readonly signal: AbortSignal;
  /** 0..1 of all pictures. */
  readonly onProgress: (detail: string, progress: number) => void;
}

/** Draws all sample prompts with `unet` as it is now. The decoder is loaded after the last denoising step and freed again. */
export async function drawSamples(
  model: DiffusionModel,
  unet: UNet2DCondition,
  embeddings: { get(prompt: string): PromptEmbedding | undefined },
  options: TrainOptions,
  { signal, onProgress }: SampleOptions,
): Promise<SampleReport['images']> {
  const { samplePrompts, sampleInferenceSteps, sampleGuidanceScale } = options;
  const side = options.resolution / 2 ** (model.vaeConfig.blockOutChannels.length - 1);
  const shape = [side, side, model.unetConfig.inChannels] as const;
  const denoised: Float32Array[] = [];
  for (const [i, { prompt, seed }] of samplePrompts.entries()) {
    denoised.push(
      await denoise({
        unet,
        scheduler: createScheduler('ddim', noiseConfigOf(options, model.schedulerConfig), sampleInferenceSteps),
        noise: noiseSource(seed, shape),
        shape,
        promptEmbeds: defined(embeddings.get(prompt)),
        negativePromptEmbeds: defined(embeddings.get('')),
        guidanceScale: sampleGuidanceScale,
        signal,
        onStep: (done) =>
          onProgress(
            `Drawing sample ${i + 1} of ${samplePrompts.length}`,
            (i + done / sampleInferenceSteps) / samplePrompts.length,
          ),
      }),
    );
  }
  const vae = await model.loadVae({ encoder: false, decoder: true });
  try {
    const images: SampleReport['images'][number][] = [];
    for (const [i, { prompt, seed }] of samplePrompts.entries()) {
      images.push({ prompt, seed, image: await decodeLatents(vae, denoised[i]!, shape) });
    }
    return images;
  } finally {
    vae.dispose();
    trimMemory();
  }
}

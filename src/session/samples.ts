/** The sample grid: the same prompts and seeds, drawn again and again while the adapter learns. */
import type { RgbImage } from '../core/image.ts';
import { defined } from '../core/invariant.ts';
import { trimMemory } from '../gpu/ops.ts';
import { precisionOf } from '../gpu/precision.ts';
import type { PromptEmbedding } from '../latents/embeddings.ts';
import type { DiffusionModel } from '../models/repository.ts';
import type { UNet2DCondition } from '../models/unet.ts';
import { denoise } from '../sampler/denoise.ts';
import { decodeLatents } from '../sampler/image.ts';
import { noiseSource } from '../sampler/noise.ts';
import { createScheduler } from '../schedulers/index.ts';
import { noiseConfigOf } from '../trainer/batch.ts';
import type { SamplePrompt, TrainOptions } from '../core/trainOptions.ts';

export interface SampleReport {
  readonly globalStep: number;
  readonly images: readonly { readonly prompt: string; readonly seed: number; readonly image: RgbImage }[];
}

export interface SampleOptions {
  readonly signal: AbortSignal;
  /** 0..1 of all pictures. */
  readonly onProgress: (detail: string, progress: number) => void;
}

/** A sample prompt with everything it does not say filled from the run's options. */
export function sampleSettings(sample: SamplePrompt, options: TrainOptions): Required<SamplePrompt> {
  return {
    width: options.resolution,
    height: options.resolution,
    negativePrompt: options.sampleNegativePrompt,
    numInferenceSteps: options.sampleInferenceSteps,
    guidanceScale: options.sampleGuidanceScale,
    ...sample,
  };
}

/** Every text that samples need the embedding of. */
export function sampleTexts(options: TrainOptions): string[] {
  return options.samplePrompts.flatMap((sample) => {
    const { prompt, negativePrompt } = sampleSettings(sample, options);
    return [prompt, negativePrompt];
  });
}

/** Draws all sample prompts with `unet` as it is now. The decoder is loaded after the last denoising step and freed again. */
export async function drawSamples(
  model: DiffusionModel,
  unet: UNet2DCondition,
  embeddings: { get(prompt: string): PromptEmbedding | undefined },
  options: TrainOptions,
  { signal, onProgress }: SampleOptions,
): Promise<SampleReport['images']> {
  const { samplePrompts } = options;
  const unit = 2 ** (model.vaeConfig.blockOutChannels.length - 1);
  const schedulerConfig = noiseConfigOf(options, model.schedulerConfig);
  const drawn: { readonly latents: Float32Array; readonly shape: readonly [number, number, number] }[] = [];
  for (const [i, sample] of samplePrompts.entries()) {
    const { prompt, negativePrompt, seed, width, height, numInferenceSteps, guidanceScale } = sampleSettings(
      sample,
      options,
    );
    const shape = [height / unit, width / unit, model.unetConfig.inChannels] as const;
    const latents = await denoise({
      unet,
      scheduler: createScheduler('ddim', schedulerConfig, numInferenceSteps),
      noise: noiseSource(seed, shape),
      shape,
      promptEmbeds: defined(embeddings.get(prompt)),
      negativePromptEmbeds: defined(embeddings.get(negativePrompt)),
      guidanceScale,
      precision: precisionOf(options),
      signal,
      onStep: (done) =>
        onProgress(
          `Drawing sample ${i + 1} of ${samplePrompts.length}`,
          (i + done / numInferenceSteps) / samplePrompts.length,
        ),
    });
    drawn.push({ latents, shape });
  }
  const vae = await model.loadVae({ encoder: false, decoder: true });
  try {
    const images: SampleReport['images'][number][] = [];
    for (const [i, { prompt, seed }] of samplePrompts.entries()) {
      const { latents, shape } = defined(drawn[i]);
      images.push({ prompt, seed, image: await decodeLatents(vae, latents, shape) });
    }
    return images;
  } finally {
    vae.dispose();
    trimMemory();
  }
}

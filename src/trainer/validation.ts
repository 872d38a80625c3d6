/**
 * The loss on images that are not trained on. Timesteps, noise and latents are the same every time, so that two values differ only
 * by what was learnt between them: every image at each of a few timesteps, its latents the means of their distribution.
 */
import { defined } from '../core/invariant.ts';
import { deriveSeed, TorchGenerator } from '../core/rng.ts';
import type { ValidationOptions } from '../core/trainOptions.ts';
import type { PromptEmbedding } from '../latents/embeddings.ts';
import { type DiffusionSettings, idsOf, noiseBatch, type NoisyBatch, type TrainingExample } from './batch.ts';

export interface ValidationLoss {
  /** Mean over all images and timesteps, before any weighting. */
  readonly loss: number;
  readonly byTimestep: readonly { readonly timestep: number; readonly loss: number }[];
}

/** The batches of a validation, one an image: the image at every timestep. */
export function validationBatches(
  examples: readonly TrainingExample[],
  { timesteps, seed }: ValidationOptions,
  {
    settings,
    scalingFactor,
    embeddingOf,
  }: {
    readonly settings: DiffusionSettings;
    readonly scalingFactor: number;
    readonly embeddingOf: (caption: string) => PromptEmbedding;
  },
): NoisyBatch[] {
  const n = timesteps.length;
  const scheduled = timesteps.map((t) => Math.floor((t * settings.alphasCumprod.length) / 1000));
  return examples.map(({ crops, caption }, image) => {
    const { height, width, channels, plain } = defined(crops[0]).latents;
    const embedding = embeddingOf(caption);
    const clean = plain.mean.map((value) => value * scalingFactor);
    const generator = new TorchGenerator(deriveSeed(seed, 'validation noise', image));
    return noiseBatch(
      {
        shape: [n, height, width, channels],
        clean: repeated(clean, n),
        noise: generator.randn([n, height, width, channels]),
        timesteps: scheduled,
        context: repeated(embedding.values, n),
        contextShape: [n, embedding.tokens, embedding.width],
        ids: idsOf(scheduled.map(() => embedding)),
      },
      settings,
    );
  });
}

/** Runs a validation. `lossOf`: the loss of each example of a batch, e.g. LoraTrainer's `validationLoss`. */
export async function validate(
  batches: readonly NoisyBatch[],
  lossOf: (batch: NoisyBatch) => Promise<readonly number[]>,
): Promise<ValidationLoss> {
  const timesteps = defined(batches[0], 'an image to validate on').timesteps;
  const sums = timesteps.map(() => 0);
  for (const batch of batches) (await lossOf(batch)).forEach((loss, i) => (sums[i]! += loss / batches.length));
  return {
    loss: sums.reduce((a, b) => a + b, 0) / sums.length,
    byTimestep: timesteps.map((timestep, i) => ({ timestep, loss: sums[i]! })),
  };
}

function repeated(values: Float32Array, n: number): Float32Array<ArrayBuffer> {
  const out = new Float32Array(n * values.length);
  for (let i = 0; i < n; i++) out.set(values, i * values.length);
  return out;
}

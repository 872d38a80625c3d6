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

/** Some of an image's timesteps. */
export interface ValidationBatch extends NoisyBatch {
  /** Which of the validation's timesteps its first example is at. */
  readonly from: number;
}

/** The batches of a validation: each image at every timestep, at most `batchSize` of them together, so that no more memory is needed than in a step. */
export function validationBatches(
  examples: readonly TrainingExample[],
  { timesteps, seed }: ValidationOptions,
  {
    settings,
    scalingFactor,
    batchSize,
    embeddingOf,
  }: {
    readonly settings: DiffusionSettings;
    readonly scalingFactor: number;
    readonly batchSize: number;
    readonly embeddingOf: (caption: string) => PromptEmbedding;
  },
): ValidationBatch[] {
  const scheduled = timesteps.map((t) => Math.floor((t * settings.alphasCumprod.length) / 1000));
  return examples.flatMap(({ crops, caption }, image) => {
    const { height, width, channels, plain } = defined(crops[0]).latents;
    const embedding = embeddingOf(caption);
    const clean = plain.mean.map((value) => value * scalingFactor);
    const generator = new TorchGenerator(deriveSeed(seed, 'validation noise', image));
    const noise = generator.randn([scheduled.length, height, width, channels]);
    return batchStarts(scheduled.length, batchSize).map((from): ValidationBatch => {
      const own = scheduled.slice(from, from + batchSize);
      const n = own.length;
      const batch = noiseBatch(
        {
          shape: [n, height, width, channels],
          clean: repeated(clean, n),
          noise: noise.slice(from * clean.length, (from + n) * clean.length),
          timesteps: own,
          context: repeated(embedding.values, n),
          contextShape: [n, embedding.tokens, embedding.width],
          ids: idsOf(own.map(() => embedding)),
        },
        settings,
      );
      return { ...batch, from };
    });
  });
}

/** Runs a validation. `lossOf`: the loss of each example of a batch, e.g. LoraTrainer's `validationLoss`. */
export async function validate(
  batches: readonly ValidationBatch[],
  lossOf: (batch: NoisyBatch) => Promise<readonly number[]>,
): Promise<ValidationLoss> {
  const images = batches.filter(({ from }) => from === 0).length;
  const byTimestep: { timestep: number; loss: number }[] = [];
  for (const batch of batches) {
    (await lossOf(batch)).forEach((loss, i) => {
      const entry = (byTimestep[batch.from + i] ??= { timestep: defined(batch.timesteps[i]), loss: 0 });
      entry.loss += loss / images;
    });
  }
  const sum = byTimestep.reduce((before, { loss }) => before + loss, 0);
  return { loss: sum / byTimestep.length, byTimestep };
}

function batchStarts(length: number, batchSize: number): number[] {
  return Array.from({ length: Math.ceil(length / batchSize) }, (_, i) => i * batchSize);
}

function repeated(values: Float32Array, n: number): Float32Array<ArrayBuffer> {
  const out = new Float32Array(n * values.length);
  for (let i = 0; i < n; i++) out.set(values, i * values.length);
  return out;
}

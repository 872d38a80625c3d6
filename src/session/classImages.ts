/**
 * Prior preservation's class images (Ruiz et al. 2022, DreamBooth): pictures of what the model takes the class for, drawn by the model
 * itself before the training, so that it does not forget the class over the one it learns. Drawn once and kept by whoever runs the
 * training, for the next run with the same model, prompt and size.
 */
import { classImageSize } from '../core/epochs.ts';
import type { RgbImage } from '../core/image.ts';
import { deriveSeed } from '../core/rng.ts';
import type { TrainOptions } from '../core/trainOptions.ts';
import type { DiffusionModel } from '../models/repository.ts';
import { ImageGenerator } from './generation.ts';

/** Where class images are kept. A key names what they were drawn from. */
export interface ClassImageStore {
  /** The first of the set, at most `count`; none if there is no such set. */
  load(key: string, count: number): Promise<readonly RgbImage[]>;
  /** Keeps picture number `index`. */
  keep(key: string, index: number, image: RgbImage): Promise<void>;
}

type ClassImageOptions = Pick<
  TrainOptions,
  'priorPreservation' | 'resolution' | 'buckets' | 'sampleInferenceSteps' | 'sampleGuidanceScale'
>;

/** Everything that a class image depends on, and no more: the seed of the run is no part of it, so that runs share them. */
export function classImageKey(model: Pick<DiffusionModel, 'name'>, options: ClassImageOptions): string {
  const { priorPreservation, sampleInferenceSteps: steps, sampleGuidanceScale: guidance } = options;
  const { width, height } = classImageSize(options);
  return JSON.stringify([model.name, priorPreservation.classPrompt, width, height, steps, guidance]);
}

/** The class images of a run, drawing those that are not kept yet; without a store, all of them. */
export async function classImages(
  model: DiffusionModel,
  options: ClassImageOptions,
  store: ClassImageStore | null,
  { signal, onStatus }: { readonly signal: AbortSignal; readonly onStatus: (detail: string, progress: number) => void },
): Promise<RgbImage[]> {
  const { classImages: count, classPrompt } = options.priorPreservation;
  const key = classImageKey(model, options);
  const images = [...((await store?.load(key, count)) ?? [])];
  if (images.length >= count) return images;
  const generator = new ImageGenerator(model);
  try {
    while (images.length < count) {
      signal.throwIfAborted();
      const index = images.length;
      onStatus(`Drawing class image ${index + 1} of ${count}`, index / count);
      const image = await generator.generate(
        {
          prompt: classPrompt,
          negativePrompt: '',
          syntax: 'plain',
          seed: deriveSeed(0, 'class image', index),
          numInferenceSteps: options.sampleInferenceSteps,
          guidanceScale: options.sampleGuidanceScale,
          ...classImageSize(options),
          scheduler: 'ddim',
          loras: [],
        },
        { signal },
      );
      await store?.keep(key, index, image);
      images.push(image);
    }
    return images;
  } finally {
    generator.dispose();
  }
}

/** The images of a training request with their pixels and masks, as the session takes them. */
import { type CountedImage, planImages, resolveTrainSteps } from '../core/epochs.ts';
import type { TrainOptions } from '../core/trainOptions.ts';
import { heldOutImages } from '../core/validationSplit.ts';
import { decodeImageFile, parseColour } from '../dataset/accept.ts';
import type { TrainingImage } from '../session/training.ts';
import type { DatasetStore } from '../storage/datasetStore.ts';
import { decodeInBrowser, decodeMaskInBrowser } from './decodeImage.ts';
import type { TrainRequest } from './protocol.ts';

/** The options with `maxTrainSteps` as `maxTrainEpochs` wants it, by the sizes of the images as they are stored. */
export async function optionsWithSteps(
  { images, options }: TrainRequest,
  dataset: Pick<DatasetStore, 'get'>,
): Promise<TrainOptions> {
  if (options.maxTrainEpochs === null) return options;
  const heldOut = heldOutImages(images, options.validation);
  const trained = images.filter((_, i) => heldOut[i] !== true);
  const counted: CountedImage[] = [];
  for (const { id, repeats = null } of trained) counted.push({ ...(await dataset.get(id)), repeats });
  return counted.length === 0 ? options : resolveTrainSteps(options, planImages(counted, options));
}

/** Pixels are decoded when they are asked for; one that was removed meanwhile throws ImageNotStoredError then. */
export async function trainingImages(request: TrainRequest, dataset: DatasetStore): Promise<TrainingImage[]> {
  const background = parseColour(request.background ?? '');
  const stored = new Map((await dataset.list()).map((image) => [image.id, image]));
  return request.images.map(({ id, caption, repeats = null, crop = null, heldOut = false }) => {
    const { fileName = id, mask = null } = stored.get(id) ?? {};
    return {
      id,
      caption,
      repeats,
      crop,
      heldOut,
      pixels: async () =>
        decodeImageFile(await dataset.original(id), fileName, (file) => decodeInBrowser(file, background)),
      mask: mask && (() => decodeMaskInBrowser(mask)),
    };
  });
}

/** Images as training examples: each in its bucket and its crops, as latents, with its mask in latent pixels. */
import { bucketName, type CropChoice, moveCrop, placeImage, type Placement } from '../core/buckets.ts';
import type { RgbImage } from '../core/image.ts';
import { deriveSeed, TorchGenerator } from '../core/rng.ts';
import type { TrainOptions } from '../core/trainOptions.ts';
import { latentMask } from '../dataset/mask.ts';
import { cropResized } from '../dataset/preprocess.ts';
import { cacheLatents } from '../latents/cache.ts';
import { type DiffusionModel, resolutionUnit } from '../models/repository.ts';
import type { AutoencoderKL } from '../models/vae.ts';
import type { ExampleCrop } from '../trainer/batch.ts';
import type { TrainingImage } from './training.ts';

/** With random crops every image is prepared in so many places, if there is room for another than the middle... */
const mostCrops = 8;
/** ... and the latents of all images fit into so many bytes of main memory. */
const cropBytes = 256 * 1024 * 1024;

export interface PreparedImage {
  readonly bucket: string;
  readonly crops: readonly ExampleCrop[];
  /** The first crop as it was encoded. */
  readonly picture: RgbImage;
}

type ImageOptions = Pick<
  TrainOptions,
  'resolution' | 'buckets' | 'randomCrop' | 'flipProbability' | 'maskedLoss' | 'seed'
>;

/**
 * How many crops each of `imageCount` images is prepared in. A training draws among them by (seed, batch), so the places are drawn once and
 * their number is bounded: encoding anew at every step would keep the VAE loaded.
 */
export function cropsPerImage(options: ImageOptions, imageCount: number, model: DiffusionModel): number {
  if (!options.randomCrop) return 1;
  const latentPixels = (options.resolution / resolutionUnit(model)) ** 2;
  const momentBytes = 2 * 4 * model.vaeConfig.latentChannels * latentPixels;
  const bytes = momentBytes * (options.flipProbability > 0 ? 2 : 1) * imageCount;
  return Math.max(1, Math.min(mostCrops, Math.floor(cropBytes / bytes)));
}

/** Places of an image's crops: the chosen one or the middle; at random, `count` of them, drawn by the seed and the image's number. */
export function placeCrops(
  image: { readonly width: number; readonly height: number },
  crop: CropChoice | null,
  options: ImageOptions,
  { index, count }: { readonly index: number; readonly count: number },
): Placement[] {
  const placement = placeImage(image, options, crop);
  const { bucket, resized } = placement;
  // Where somebody has chosen, chance has no say; where the image fills its bucket there is nothing to choose.
  const isFixed = crop !== null || (resized.width === bucket.width && resized.height === bucket.height);
  if (!options.randomCrop || isFixed) return [placement];
  const draws = new TorchGenerator(deriveSeed(options.seed, 'crop places', index)).rand(2 * count);
  const places = Array.from({ length: count }, (_, i) => moveCrop(placement, draws[2 * i]!, draws[2 * i + 1]!));
  return places.filter(
    ({ left, top }, i) => places.findIndex((other) => other.left === left && other.top === top) === i,
  );
}

/** Encodes one image in all its crops. */
export async function prepareImage(
  vae: AutoencoderKL,
  image: Pick<TrainingImage, 'crop' | 'pixels' | 'mask'>,
  options: ImageOptions,
  where: { readonly index: number; readonly count: number; readonly factor: number },
): Promise<PreparedImage> {
  const pixels = await image.pixels();
  const mask = options.maskedLoss && image.mask ? await image.mask() : null;
  const places = placeCrops(pixels, image.crop ?? null, options, where);
  const crops: ExampleCrop[] = [];
  let picture: RgbImage | null = null;
  for (const place of places) {
    const cut = cropResized(pixels, place);
    picture ??= cut;
    crops.push({
      latents: await cacheLatents(vae, cut, { flip: options.flipProbability > 0 }),
      mask: mask && latentMask(mask, place, where.factor),
    });
  }
  const [{ bucket }] = places as [Placement];
  return { bucket: bucketName(bucket), crops, picture: picture ?? pixels };
}

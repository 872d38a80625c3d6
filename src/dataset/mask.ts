/**
 * Masks: pictures that say what of an image matters. White is learned, black is not, grey is in between; colours count by their mean.
 * Training weighs the loss of each latent pixel by the part of the mask that it covers (kohya's masked_loss).
 */
import type { Placement } from '../core/buckets.ts';
import { LoratoryError } from '../core/errors.ts';
import type { RgbImage } from '../core/image.ts';
import { invariant } from '../core/invariant.ts';
import { cropResized } from './preprocess.ts';

/** The mask was made for another picture. */
export class MaskShapeError extends LoratoryError {
  readonly code = 'mask-shape';

  constructor(maskName: string, mask: RgbImage, image: { readonly width: number; readonly height: number }) {
    super(
      `The mask ${maskName} is ${mask.width} x ${mask.height} pixels, which is not the shape of its image (${image.width} x ${image.height}).`,
      'Export the mask at the size of its image, or paint it here.',
      { maskName, mask: [mask.width, mask.height], image: [image.width, image.height] },
    );
  }
}

/** Masks may have another size than their image, but its shape, within a pixel's rounding of the smaller one. */
export function checkMaskShape(
  mask: RgbImage,
  maskName: string,
  image: { readonly width: number; readonly height: number },
): void {
  const scale = mask.width / image.width;
  const tolerance = Math.max(1, scale);
  if (Math.abs(mask.height - image.height * scale) > tolerance) throw new MaskShapeError(maskName, mask, image);
}

/** A weight, 0..1, for each latent pixel of a crop, [height, width]: the mean of the `factor` x `factor` pixels that it stands for. */
export function latentMask(mask: RgbImage, placement: Placement, factor: number): Float32Array<ArrayBuffer> {
  const { bucket } = placement;
  invariant(bucket.width % factor === 0 && bucket.height % factor === 0, 'A bucket has whole latent pixels', {
    ...bucket,
    factor,
  });
  const { data } = cropResized(mask, placement);
  const [width, height] = [bucket.width / factor, bucket.height / factor];
  const weights = new Float32Array(width * height);
  for (let y = 0; y < bucket.height; y++) {
    for (let x = 0; x < bucket.width; x++) {
      const at = (y * bucket.width + x) * 3;
      const to = Math.floor(y / factor) * width + Math.floor(x / factor);
      weights[to]! += data[at]! + data[at + 1]! + data[at + 2]!;
    }
  }
  return weights.map((sum) => sum / (3 * 255 * factor ** 2));
}

/** The weights of the mirrored image. */
export function flipMask(weights: Float32Array, width: number): Float32Array<ArrayBuffer> {
  return Float32Array.from(weights, (_, at) => weights[at - (at % width) + (width - 1 - (at % width))]!);
}

/** Which part of the original a crop is, for tools that know no crops of one's own. */
import { type CropChoice, placeImage, type Size, type SizeOptions } from '../core/buckets.ts';
import type { RgbImage } from '../core/image.ts';

export interface Region extends Size {
  readonly left: number;
  readonly top: number;
}

/** The crop in pixels of the original, to the nearest whole ones. */
export function cropRegion(image: Size, options: SizeOptions, crop: CropChoice): Region {
  const { bucket, resized, left, top } = placeImage(image, options, crop);
  const [scaleX, scaleY] = [image.width / resized.width, image.height / resized.height];
  const width = Math.min(image.width, Math.max(1, Math.round(bucket.width * scaleX)));
  const height = Math.min(image.height, Math.max(1, Math.round(bucket.height * scaleY)));
  return {
    width,
    height,
    left: Math.min(Math.round(left * scaleX), image.width - width),
    top: Math.min(Math.round(top * scaleY), image.height - height),
  };
}

/** That part of a picture. */
export function cutOut({ data, width }: RgbImage, region: Region): RgbImage {
  const cut = new Uint8Array(region.width * region.height * 3);
  for (let y = 0; y < region.height; y++) {
    const start = ((region.top + y) * width + region.left) * 3;
    cut.set(data.subarray(start, start + region.width * 3), y * region.width * 3);
  }
  return { data: cut, width: region.width, height: region.height };
}

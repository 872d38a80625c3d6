/** Node's image decoder (sharp), giving the same pixels as the browser's does in the studio's worker. */
import sharp from 'sharp';
import { overWhite } from '../dataset/accept.ts';
import type { RgbImage } from '../core/image.ts';

/** Decodes any picture upright (EXIF), in sRGB, with transparency over white. */
export async function decodeInNode(file: Blob): Promise<RgbImage> {
  const { data, info } = await sharp(new Uint8Array(await file.arrayBuffer()))
    .autoOrient()
    .toColourspace('srgb')
    .ensureAlpha()
    .raw()
    .toBuffer({ resolveWithObject: true });
  return overWhite(data, info.width, info.height);
}

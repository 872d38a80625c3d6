/** Node's image decoder (sharp), giving the same pixels as the browser's does in the studio's worker. */
import { decodedSide, overColour, type Rgb, white } from '../dataset/accept.ts';
import type { RgbImage } from '../core/image.ts';

/** Decodes any picture upright (EXIF), in sRGB, huge ones shrunk; what is transparent is filled with `background`. */
export async function decodeInNode(file: Blob, background: Rgb = white): Promise<RgbImage> {
  // Only where a picture is decoded: the benchmarks run on machines that have no modules.
  const { default: sharp } = await import('sharp');
  const { data, info } = await sharp(new Uint8Array(await file.arrayBuffer()))
    .autoOrient()
    .resize({ width: decodedSide, height: decodedSide, fit: 'inside', withoutEnlargement: true })
    .toColourspace('srgb')
    .ensureAlpha()
    .raw()
    .toBuffer({ resolveWithObject: true });
  return overColour({ width: info.width, height: info.height, data }, background);
}

import { encodePng } from '../formats/png.ts';
import type { RgbImage } from './protocol.ts';

/** A picture as a PNG file, with texts beside its pixels. */
export function pngBlob(image: RgbImage, texts: Readonly<Record<string, string>> = {}): Blob {
  return new Blob([encodePng(image, texts)], { type: 'image/png' });
}

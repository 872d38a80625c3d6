import { LoratoryError } from '../core/errors.ts';
import { withWebpParameters } from '../formats/pictureText.ts';
import { encodePng } from '../formats/png.ts';
import type { RgbImage } from './protocol.ts';

/** A picture as a PNG file, with texts beside its pixels. */
export function pngBlob(image: RgbImage, texts: Readonly<Record<string, string>> = {}): Blob {
  return new Blob([encodePng(image, texts)], { type: 'image/png' });
}

/** A picture as WebP, a fraction of the size, with `parameters` in it. Rejects where the browser cannot write it. */
export async function webpBlob(picture: Blob, parameters: string): Promise<Blob> {
  const bitmap = await createImageBitmap(picture);
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  canvas.getContext('2d')?.drawImage(bitmap, 0, 0);
  bitmap.close();
  const webp = await canvas.convertToBlob({ type: 'image/webp', quality: 0.95 });
  if (webp.type !== 'image/webp') throw new NoWebpError();
  return new Blob([withWebpParameters(new Uint8Array(await webp.arrayBuffer()), parameters)], { type: webp.type });
}

/** The browser encodes no WebP. */
class NoWebpError extends LoratoryError {
  readonly code = 'no-webp';

  constructor() {
    super('This browser writes no WebP.', 'Save the picture as PNG.', {});
  }
}

/** The browser's image decoder, for use in a worker. */
import { overWhite } from '../dataset/accept.ts';
import type { RgbImage } from '../core/image.ts';

/** Decodes any picture the browser knows, upright (EXIF), with transparency over white. */
export async function decodeInBrowser(file: Blob): Promise<RgbImage> {
  const bitmap = await createImageBitmap(file, { premultiplyAlpha: 'none' });
  try {
    const { width, height } = bitmap;
    const context = context2d(width, height);
    context.drawImage(bitmap, 0, 0);
    return overWhite(context.getImageData(0, 0, width, height).data, width, height);
  } finally {
    bitmap.close();
  }
}

const thumbnailSide = 256;

/** A small picture over white, at most 256 px on its longer side: a JPEG, or a PNG where the image was no larger than that. */
export async function thumbnailOf(image: RgbImage): Promise<Blob> {
  const { width, height, data } = image;
  const full = context2d(width, height);
  const pixels = full.createImageData(width, height);
  for (let p = 0; p < width * height; p++) {
    for (let k = 0; k < 3; k++) pixels.data[p * 4 + k] = data[p * 3 + k]!;
    pixels.data[p * 4 + 3] = 255;
  }
  full.putImageData(pixels, 0, 0);
  const scale = Math.min(1, thumbnailSide / Math.max(width, height));
  const small = context2d(Math.max(1, Math.round(width * scale)), Math.max(1, Math.round(height * scale)));
  small.imageSmoothingQuality = 'high';
  small.drawImage(full.canvas, 0, 0, small.canvas.width, small.canvas.height);
  // JPEG would smear drawings of few pixels, and save nothing.
  const type = scale === 1 ? 'image/png' : 'image/jpeg';
  return small.canvas.convertToBlob({ type, quality: 0.85 });
}

function context2d(width: number, height: number): OffscreenCanvasRenderingContext2D {
  const context = new OffscreenCanvas(width, height).getContext('2d', { willReadFrequently: true });
  if (!context) throw new Error('OffscreenCanvas gave no 2d context');
  return context;
}

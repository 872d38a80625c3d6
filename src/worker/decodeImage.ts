/** The browser's image decoder, for use in a worker. */
import { black, decodeScale, hasAlpha, overColour, type Rgb, white } from '../dataset/accept.ts';
import type { RgbImage } from '../core/image.ts';

/** A picture as it was drawn: upright (EXIF), the first frame of an animation, huge ones shrunk. */
async function draw(file: Blob): Promise<{
  readonly context: OffscreenCanvasRenderingContext2D;
  /** Of the original, in pixels. */
  readonly width: number;
  readonly height: number;
}> {
  const bitmap = await createImageBitmap(file, { premultiplyAlpha: 'none' });
  try {
    const { width, height } = bitmap;
    return { context: shrunk(bitmap, decodeScale(width, height)), width, height };
  } finally {
    bitmap.close();
  }
}

/** Decodes any picture the browser knows; what is transparent is filled with `background`. */
export async function decodeInBrowser(file: Blob, background: Rgb = white): Promise<RgbImage> {
  const { context } = await draw(file);
  return overColour(pixelsOf(context), background);
}

export interface PictureFacts {
  /** Of the original, upright, in pixels. */
  readonly width: number;
  readonly height: number;
  readonly hasAlpha: boolean;
  /** At most 256 px on its longer side: a JPEG, or a PNG where the image was no larger than that or has transparent parts. */
  readonly thumbnail: Blob;
}

const thumbnailSide = 256;

/** What is to be known of a picture when it is taken in. */
export async function inspectInBrowser(file: Blob): Promise<PictureFacts> {
  const { context, width, height } = await draw(file);
  const transparent = hasAlpha(pixelsOf(context));
  const { canvas } = context;
  const scale = Math.min(1, thumbnailSide / Math.max(canvas.width, canvas.height));
  // JPEG would smear drawings of few pixels, and save nothing.
  const type = scale === 1 || transparent ? 'image/png' : 'image/jpeg';
  const thumbnail = await shrunk(canvas, scale).canvas.convertToBlob({ type, quality: 0.85 });
  return { width, height, hasAlpha: transparent, thumbnail };
}

const previewSide = 1600;

/** The picture itself, or a smaller one where no screen would show all of it. */
export async function previewInBrowser(file: Blob): Promise<Blob> {
  const { context, width, height } = await draw(file);
  const scale = Math.min(1, previewSide / Math.max(width, height));
  if (scale === 1) return file;
  const { canvas } = context;
  const small = shrunk(canvas, (width * scale) / canvas.width);
  const type = hasAlpha(pixelsOf(small)) ? 'image/png' : 'image/jpeg';
  return small.canvas.convertToBlob({ type, quality: 0.9 });
}

/** Masks are kept at most this wide and high: finer than the latents of any training. */
const maskSide = 1024;

/** A mask's pixels, white where it is to be learned. */
export async function decodeMaskInBrowser(mask: Blob): Promise<RgbImage> {
  return decodeInBrowser(mask, black);
}

/** A given mask as it is kept. */
export async function compactMask(mask: Blob): Promise<Blob> {
  const { context } = await draw(mask);
  const { canvas } = context;
  const small = shrunk(canvas, Math.min(1, maskSide / Math.max(canvas.width, canvas.height)));
  small.globalCompositeOperation = 'destination-over';
  small.fillStyle = '#000';
  small.fillRect(0, 0, small.canvas.width, small.canvas.height);
  return small.canvas.convertToBlob({ type: 'image/png' });
}

function shrunk(source: ImageBitmap | OffscreenCanvas, scale: number): OffscreenCanvasRenderingContext2D {
  const [width, height] = [source.width * scale, source.height * scale];
  const canvas = new OffscreenCanvas(Math.max(1, Math.round(width)), Math.max(1, Math.round(height)));
  const context = canvas.getContext('2d', { willReadFrequently: true });
  if (!context) throw new Error('OffscreenCanvas gave no 2d context');
  context.imageSmoothingQuality = 'high';
  context.drawImage(source, 0, 0, canvas.width, canvas.height);
  return context;
}

function pixelsOf(context: OffscreenCanvasRenderingContext2D): ImageData {
  return context.getImageData(0, 0, context.canvas.width, context.canvas.height);
}

/** Pictures as files: saved, copied. */
import { saveBlob } from './saveBlob.ts';

/** As WebP, which is a fraction of the size but carries no settings. Rejects where the browser cannot write it. */
export async function toWebp(png: Blob): Promise<Blob> {
  const bitmap = await createImageBitmap(png);
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  canvas.getContext('2d')?.drawImage(bitmap, 0, 0);
  bitmap.close();
  const webp = await canvas.convertToBlob({ type: 'image/webp', quality: 0.95 });
  if (webp.type !== 'image/webp') throw new Error('This browser writes no WebP.');
  return webp;
}

/** Saves a picture in the format that the name says. */
export async function savePicture(png: Blob, fileName: string): Promise<void> {
  saveBlob(fileName.endsWith('.webp') ? await toWebp(png) : png, fileName);
}

/** Puts a picture onto the clipboard. Rejects where the browser forbids it. */
export async function copyPicture(png: Blob): Promise<void> {
  await navigator.clipboard.write([new ClipboardItem({ 'image/png': png })]);
}

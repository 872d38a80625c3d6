/** The pixels of pictures on the page and on the disk, so that two can be told apart or found to be one. */
import type { Locator } from '@playwright/test';
import sharp from 'sharp';

/** Every byte of an img's pixels. */
export async function pixelsOf(picture: Locator): Promise<string> {
  return picture.evaluate((element) => {
    const image = element as HTMLImageElement;
    const canvas = document.createElement('canvas');
    canvas.width = image.naturalWidth;
    canvas.height = image.naturalHeight;
    const context = canvas.getContext('2d');
    context?.drawImage(image, 0, 0);
    return String(context?.getImageData(0, 0, canvas.width, canvas.height).data.join());
  });
}

/** Width and height of a picture file. */
export async function sizeOf(path: string): Promise<{ readonly width: number; readonly height: number }> {
  const { width, height } = await sharp(path).metadata();
  return { width, height };
}

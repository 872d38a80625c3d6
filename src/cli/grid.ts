import type { RgbImage } from '../core/image.ts';

/** Puts pictures of one size side by side, `columns` to a row, with `gap` white pixels between them. */
export function imageGrid(images: readonly RgbImage[], columns = images.length, gap = 4): RgbImage {
  const cellWidth = Math.max(...images.map((image) => image.width));
  const cellHeight = Math.max(...images.map((image) => image.height));
  const rows = Math.ceil(images.length / columns);
  const width = columns * cellWidth + (columns - 1) * gap;
  const height = rows * cellHeight + (rows - 1) * gap;
  const data = new Uint8Array(width * height * 3).fill(255);
  images.forEach((image, i) => {
    const left = (i % columns) * (cellWidth + gap);
    const top = Math.floor(i / columns) * (cellHeight + gap);
    for (let y = 0; y < image.height; y++) {
      data.set(image.data.subarray(y * image.width * 3, (y + 1) * image.width * 3), ((top + y) * width + left) * 3);
    }
  });
  return { width, height, data };
}

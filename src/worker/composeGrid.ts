/** A labelled image of pictures, drawn on a canvas in the worker. */
import { GRID_STYLE, layoutGrid, type GridRequest } from '../core/plotLayout.ts';
import { overColour, white } from '../dataset/accept.ts';
import { pngBlob } from './pictures.ts';

/** `pictures`: one a cell, column by column, then row by row, then plane by plane. Written as PNG with `parameters` in it. */
export async function composeGrid(
  request: GridRequest,
  pictures: readonly (Blob | null)[],
  parameters?: string,
): Promise<{ readonly png: Blob; readonly width: number; readonly height: number }> {
  const { width, height, cells, texts } = layoutGrid(request);
  const context = new OffscreenCanvas(width, height).getContext('2d', { willReadFrequently: true });
  if (!context) throw new Error('OffscreenCanvas gave no 2d context');
  context.fillStyle = GRID_STYLE.paper;
  context.fillRect(0, 0, width, height);
  context.imageSmoothingEnabled = false;
  for (const [i, { left, top, width: w, height: h }] of cells.entries()) {
    const picture = pictures[i];
    if (!picture) continue;
    const bitmap = await createImageBitmap(picture);
    // Pictures of few pixels are enlarged by whole numbers as far as their cells have room.
    const factor = Math.max(1, Math.floor(Math.min(w / bitmap.width, h / bitmap.height)));
    const [wide, high] = [bitmap.width * factor, bitmap.height * factor];
    context.drawImage(bitmap, left + Math.floor((w - wide) / 2), top + Math.floor((h - high) / 2), wide, high);
    bitmap.close();
  }
  context.fillStyle = GRID_STYLE.ink;
  context.textBaseline = 'middle';
  for (const { text, x, y, align, size, isBold } of texts) {
    context.font = `${isBold ? 'bold ' : ''}${size}px ${GRID_STYLE.font}`;
    context.textAlign = align;
    context.fillText(text, x, y);
  }
  const { data } = context.getImageData(0, 0, width, height);
  const image = overColour({ width, height, data }, white);
  return { png: pngBlob(image, parameters === undefined ? {} : { parameters }), width, height };
}

/** A labelled image of pictures, drawn through SVG by sharp. */
import sharp from 'sharp';
import type { RgbImage } from '../core/image.ts';
import { GRID_STYLE, layoutGrid, type GridRequest } from '../core/plotLayout.ts';

/** `pictures`: one a cell, column by column, then row by row, then plane by plane; null for one that was not drawn. */
export async function labelledGrid(request: GridRequest, pictures: readonly (RgbImage | null)[]): Promise<RgbImage> {
  const { width, height, cells, texts } = layoutGrid(request);
  const { paper, ink, font } = GRID_STYLE;
  const lines = texts.map(({ text, x, y, align, size, isBold }) => {
    const anchor = align === 'center' ? 'middle' : 'end';
    const weight = isBold ? ' font-weight="bold"' : '';
    return `<text x="${x}" y="${y + size * 0.35}" font-size="${size}" text-anchor="${anchor}"${weight}>${escaped(text)}</text>`;
  });
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}"><g fill="${ink}" font-family="${escaped(font)}">${lines.join('')}</g></svg>`;
  const placed = cells.flatMap(({ left, top, width: w, height: h }, i) => {
    const picture = pictures[i];
    if (!picture) return [];
    return [
      {
        input: Buffer.from(picture.data.buffer, picture.data.byteOffset, picture.data.byteLength),
        raw: { width: picture.width, height: picture.height, channels: 3 as const },
        left: left + Math.floor((w - picture.width) / 2),
        top: top + Math.floor((h - picture.height) / 2),
      },
    ];
  });
  const { data } = await sharp({ create: { width, height, channels: 3, background: paper } })
    .composite([{ input: Buffer.from(svg), left: 0, top: 0 }, ...placed])
    .removeAlpha()
    .raw()
    .toBuffer({ resolveWithObject: true });
  return { width, height, data: new Uint8Array(data) };
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');
}

/** An X/Y/Z plot as one picture with its labels, for sharing: black on white, whatever the page's theme. */
import type { Plot } from './plot.ts';

const font = "'Hanken Grotesk Variable', system-ui, sans-serif";
const gap = 6;
const margin = 16;

interface Layout {
  readonly cell: readonly [width: number, height: number];
  readonly columns: number;
  readonly rows: number;
  readonly layers: number;
  readonly left: number;
  readonly head: number;
  readonly layerHead: number;
  readonly size: number;
}

/** Small pictures are enlarged, so that labels fit beside them. */
function layoutOf({ axes, cells }: Plot): Layout {
  const [x, y, z] = axes;
  const { width = 64, height = 64 } = cells[0]?.request ?? {};
  const factor = Math.max(1, Math.round(192 / Math.max(width, height)));
  const cell = [width * factor, height * factor] as const;
  const size = Math.round(Math.min(28, Math.max(14, cell[0] / 12)));
  return {
    cell,
    columns: x.labels.length,
    rows: y.labels.length,
    layers: z.labels.length,
    left: y.title === '' ? 0 : Math.min(320, Math.max(110, cell[0] * 0.6)),
    head: x.title === '' ? 0 : Math.round(size * 4.2),
    layerHead: z.title === '' ? 0 : Math.round(size * 2.2),
    size,
  };
}

/** Breaks a text into lines of at most `width` pixels; the last of `lines` ends in an ellipsis if there is more. */
function wrap(context: OffscreenCanvasRenderingContext2D, text: string, width: number, lines: number): string[] {
  const result: string[] = [];
  let line = '';
  for (const word of text.split(/\s+/)) {
    const longer = line === '' ? word : `${line} ${word}`;
    if (context.measureText(longer).width <= width || line === '') line = longer;
    else {
      result.push(line);
      line = word;
    }
  }
  result.push(line);
  if (result.length <= lines) return result;
  return [...result.slice(0, lines - 1), `${result[lines - 1] ?? ''}…`];
}

/** A PNG. The pixels of the pictures are not smoothed when they are enlarged. */
export async function renderPlot(plot: Plot): Promise<Blob> {
  const layout = layoutOf(plot);
  const { cell, columns, rows, layers, left, head, layerHead, size } = layout;
  const layerHeight = layerHead + head + rows * (cell[1] + gap);
  const canvas = new OffscreenCanvas(
    2 * margin + left + columns * (cell[0] + gap) - gap,
    2 * margin + layers * layerHeight + (layers - 1) * 2 * size,
  );
  const context = canvas.getContext('2d');
  if (!context) throw new Error('OffscreenCanvas gave no 2d context');
  context.fillStyle = '#ffffff';
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.imageSmoothingEnabled = false;
  context.textBaseline = 'middle';
  for (let layer = 0; layer < layers; layer++) {
    const top = margin + layer * (layerHeight + 2 * size);
    drawLabels(context, plot, layout, layer, top);
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++) {
        const { png } = plot.cells[(layer * rows + row) * columns + column] ?? {};
        const x = margin + left + column * (cell[0] + gap);
        const y = top + layerHead + head + row * (cell[1] + gap);
        context.fillStyle = '#eeece7';
        context.fillRect(x, y, cell[0], cell[1]);
        if (!png) continue;
        const bitmap = await createImageBitmap(png);
        context.drawImage(bitmap, x, y, cell[0], cell[1]);
        bitmap.close();
      }
    }
  }
  return canvas.convertToBlob({ type: 'image/png' });
}

function drawLabels(
  context: OffscreenCanvasRenderingContext2D,
  { axes: [x, y, z] }: Plot,
  { cell, left, head, layerHead, size }: Layout,
  layer: number,
  top: number,
): void {
  const text = (words: string, at: readonly [number, number], width: number, lines: number, middle: boolean): void => {
    const wrapped = wrap(context, words, width, lines);
    wrapped.forEach((line, i) => {
      const shift = middle ? (i - (wrapped.length - 1) / 2) * size * 1.2 : i * size * 1.2;
      context.fillText(line, at[0], at[1] + shift, width);
    });
  };
  const fillStyle = '#1e1d1a';
  if (z.title !== '') {
    Object.assign(context, { fillStyle, textAlign: 'left', font: `650 ${Math.round(size * 1.15)}px ${font}` });
    text(`${z.title}: ${z.labels[layer] ?? ''}`, [margin, top + size * 0.8], 4000, 1, true);
  }
  if (x.title !== '') {
    Object.assign(context, {
      fillStyle: '#6f6b63',
      textAlign: 'left',
      font: `500 ${Math.round(size * 0.85)}px ${font}`,
    });
    text(x.title, [margin + left, top + layerHead + size * 0.6], 4000, 1, true);
    Object.assign(context, { fillStyle, textAlign: 'center', font: `600 ${size}px ${font}` });
    x.labels.forEach((label, i) => {
      const center = margin + left + i * (cell[0] + gap) + cell[0] / 2;
      text(label, [center, top + layerHead + size * 2.5], cell[0] - 8, 2, true);
    });
  }
  if (y.title !== '') {
    Object.assign(context, {
      fillStyle: '#6f6b63',
      textAlign: 'left',
      font: `500 ${Math.round(size * 0.85)}px ${font}`,
    });
    text(y.title, [margin, top + layerHead + head - size], left - 12, 1, true);
    Object.assign(context, { fillStyle, textAlign: 'left', font: `600 ${size}px ${font}` });
    y.labels.forEach((label, i) => {
      text(label, [margin, top + layerHead + head + i * (cell[1] + gap) + cell[1] / 2], left - 12, 4, true);
    });
  }
}

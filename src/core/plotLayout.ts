/**
 * Where pictures and their labels lie in one labelled image: columns and rows with labels at their heads, planes one below the other,
 * or a plain grid with a caption under each picture. Pure: the page draws it on a canvas, the command line through SVG.
 */

export interface GridRequest {
  readonly columns: number;
  readonly rows: number;
  readonly planes: number;
  /** Of the largest picture, in pixels; smaller ones stand in the middle of their cells. */
  readonly cellWidth: number;
  readonly cellHeight: number;
  /** One a column, row, plane; empty where there are none. */
  readonly columnLabels?: readonly string[];
  readonly rowLabels?: readonly string[];
  readonly planeLabels?: readonly string[];
  /** One a cell, row by row; empty where there are none. */
  readonly captions?: readonly string[];
}

export interface GridCell {
  readonly x: number;
  readonly y: number;
  readonly z: number;
  /** In pixels. */
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

/** A line of text; y is its middle. */
export interface GridText {
  readonly text: string;
  readonly x: number;
  readonly y: number;
  readonly align: 'center' | 'right';
  /** In pixels. */
  readonly size: number;
  readonly isBold: boolean;
}

export interface GridLayout {
  readonly width: number;
  readonly height: number;
  readonly cells: readonly GridCell[];
  readonly texts: readonly GridText[];
}

/** Ink and paper, and the font, of every labelled image. */
export const GRID_STYLE = { paper: '#ffffff', ink: '#16181d', font: 'system-ui, "DejaVu Sans", sans-serif' } as const;

/** Width of a character by the size of its font: enough for the wide ones of most fonts, so that nothing runs over. */
const CHARACTER = 0.6;
const LINE = 1.3;

export function layoutGrid(request: GridRequest): GridLayout {
  const { columns, rows, planes, cellWidth, cellHeight } = request;
  const { columnLabels = [], rowLabels = [], planeLabels = [], captions = [] } = request;
  const size = Math.round(Math.min(28, Math.max(11, cellWidth / 14)));
  const gap = Math.max(4, Math.round(size / 3));
  const lines = (label: string, width: number): string[] =>
    wrap(label, Math.max(6, Math.floor(width / (size * CHARACTER))));
  const heightOf = (labels: readonly string[], width: number): number =>
    labels.length === 0
      ? 0
      : Math.ceil(Math.max(...labels.map((label) => lines(label, width).length)) * size * LINE + gap);

  const widestLabel = Math.min(
    cellWidth,
    Math.max(0, ...rowLabels.map((label) => label.length)) * size * CHARACTER + 2 * gap,
  );
  const margin = rowLabels.length === 0 ? 0 : Math.ceil(Math.max(widestLabel, 4 * size));
  const headHeight = heightOf(columnLabels, cellWidth);
  const captionHeight = heightOf(captions, cellWidth);
  const width = margin + columns * (cellWidth + gap) + gap;
  const planeHead = heightOf(planeLabels, width);
  const planeHeight = planeHead + headHeight + rows * (cellHeight + captionHeight + gap) + gap;

  const cells: GridCell[] = [];
  const texts: GridText[] = [];
  const write = (
    label: string,
    room: number,
    x: number,
    top: number,
    height: number,
    align: GridText['align'],
    isBold: boolean,
  ): void => {
    const parts = lines(label, room);
    const first = top + height / 2 - ((parts.length - 1) * size * LINE) / 2;
    parts.forEach((text, i) => texts.push({ text, x, y: first + i * size * LINE, align, size, isBold }));
  };
  for (let z = 0; z < planes; z++) {
    const planeTop = z * planeHeight;
    if (planeLabels[z] !== undefined) write(planeLabels[z]!, width, width / 2, planeTop, planeHead, 'center', true);
    const headTop = planeTop + planeHead;
    for (let x = 0; x < columns; x++) {
      const left = margin + gap + x * (cellWidth + gap);
      if (columnLabels[x] !== undefined)
        write(columnLabels[x]!, cellWidth, left + cellWidth / 2, headTop, headHeight, 'center', false);
    }
    for (let y = 0; y < rows; y++) {
      const top = headTop + headHeight + gap + y * (cellHeight + captionHeight + gap);
      if (rowLabels[y] !== undefined) write(rowLabels[y]!, margin - gap, margin - gap, top, cellHeight, 'right', false);
      for (let x = 0; x < columns; x++) {
        const left = margin + gap + x * (cellWidth + gap);
        cells.push({ x, y, z, left, top, width: cellWidth, height: cellHeight });
        const caption = captions[(z * rows + y) * columns + x];
        if (caption !== undefined)
          write(caption, cellWidth, left + cellWidth / 2, top + cellHeight, captionHeight, 'center', false);
      }
    }
  }
  return { width, height: planes * planeHeight, cells, texts };
}

/** Columns of a grid of `count` pictures that is about as wide as high. */
export function gridColumns(count: number, cellWidth: number, cellHeight: number): number {
  return Math.min(count, Math.max(1, Math.ceil(Math.sqrt((count * cellHeight) / cellWidth))));
}

/** Breaks a label at spaces; words that are too long are cut. */
function wrap(label: string, longest: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of label.split(/\s+/).flatMap((part) => cut(part, longest))) {
    if (line !== '' && line.length + 1 + word.length > longest) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line];
}

function cut(word: string, longest: number): string[] {
  const parts: string[] = [];
  for (let at = 0; at < word.length; at += longest) parts.push(word.slice(at, at + longest));
  return parts.length === 0 ? [''] : parts;
}

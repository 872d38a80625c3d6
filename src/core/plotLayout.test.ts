// Plan: cells and labels lie within the image and do not overlap, for grids of every kind; long labels are wrapped.
import { describe, expect, it } from 'vitest';
import { gridColumns, layoutGrid, type GridRequest } from './plotLayout.ts';

const plain: GridRequest = { columns: 2, rows: 1, planes: 1, cellWidth: 64, cellHeight: 48 };

describe('a labelled grid', () => {
  it.each<readonly [string, Partial<GridRequest>]>([
    ['pictures alone', {}],
    ['two axes', { rows: 2, columnLabels: ['Seed: 1', 'Seed: 2'], rowLabels: ['Steps: 10', 'Steps: 20'] }],
    [
      'three axes',
      { planes: 2, columnLabels: ['a', 'b'], rowLabels: ['c'], planeLabels: ['CFG scale: 3', 'CFG scale: 4'] },
    ],
    ['captions', { captions: ['Seed: 1', 'a long caption that does not fit into one line of so small a picture'] }],
    ['long words', { columnLabels: ['x'.repeat(200), 'y'] }],
  ])('%s', (_name, more) => {
    const request = { ...plain, ...more };
    const { width, height, cells, texts } = layoutGrid(request);
    expect(cells).toHaveLength(request.columns * request.rows * request.planes);
    for (const [i, a] of cells.entries()) {
      expect(a.left >= 0 && a.top >= 0 && a.left + a.width <= width && a.top + a.height <= height).toBe(true);
      for (const b of cells.slice(i + 1)) {
        const apart =
          a.left + a.width <= b.left ||
          b.left + b.width <= a.left ||
          a.top + a.height <= b.top ||
          b.top + b.height <= a.top;
        expect(apart).toBe(true);
      }
      for (const { y, x, size, align } of texts) {
        const isBeside =
          align === 'right' ? x <= a.left : y + size / 2 <= a.top + 1 || y - size / 2 >= a.top + a.height - 1;
        expect(isBeside).toBe(true);
      }
    }
    for (const { y, size } of texts) expect(y - size / 2 >= 0 && y + size / 2 <= height).toBe(true);
  });

  it('is about as wide as high', () => {
    expect([1, 2, 3, 4, 9, 10].map((count) => gridColumns(count, 64, 64))).toEqual([1, 2, 2, 2, 3, 4]);
    expect(gridColumns(4, 128, 64)).toBe(2);
    expect(gridColumns(6, 64, 128)).toBe(4);
  });
});

// Plan: pictures lie in their cells to the bit, smaller ones in the middle, missing ones as paper; labels are drawn, beside them only;
// characters that mean something in SVG are themselves.
import { expect, test } from 'vitest';
import { layoutGrid, type GridRequest } from '../core/plotLayout.ts';
import type { RgbImage } from '../core/image.ts';
import { labelledGrid } from './labelledGrid.ts';

function flat(width: number, height: number, colour: readonly [number, number, number]): RgbImage {
  const data = new Uint8Array(width * height * 3);
  for (let p = 0; p < width * height; p++) data.set(colour, p * 3);
  return { width, height, data };
}

const request: GridRequest = {
  columns: 2,
  rows: 2,
  planes: 1,
  cellWidth: 40,
  cellHeight: 30,
  columnLabels: ['a < b & "c"', 'Seed: 2'],
  rowLabels: ['x', 'y'],
};

test('pictures lie in their cells, labels beside them', async () => {
  const pictures = [flat(40, 30, [10, 20, 30]), flat(20, 10, [200, 0, 0]), null, flat(40, 30, [0, 90, 0])];
  const grid = await labelledGrid(request, pictures);
  const { width, height, cells } = layoutGrid(request);
  expect([grid.width, grid.height, grid.data.length]).toEqual([width, height, width * height * 3]);
  const at = (x: number, y: number): number[] =>
    Array.from(grid.data.subarray((y * width + x) * 3, (y * width + x) * 3 + 3));
  const [first, second, third, fourth] = cells;
  for (const [dx, dy] of [
    [0, 0],
    [39, 29],
  ] as const) {
    expect(at(first!.left + dx, first!.top + dy)).toEqual([10, 20, 30]);
    expect(at(fourth!.left + dx, fourth!.top + dy)).toEqual([0, 90, 0]);
    expect(at(second!.left + dx, second!.top + dy)).toEqual([255, 255, 255]);
    expect(at(third!.left + dx, third!.top + dy)).toEqual([255, 255, 255]);
  }
  expect(at(second!.left + 20, second!.top + 15)).toEqual([200, 0, 0]);
  const darkest = (left: number, top: number, right: number, bottom: number): number => {
    let least = 255;
    for (let y = top; y < bottom; y++) for (let x = left; x < right; x++) least = Math.min(least, ...at(x, y));
    return least;
  };
  expect(darkest(first!.left, 0, first!.left + 40, first!.top)).toBeLessThan(128);
  expect(darkest(0, first!.top, first!.left, first!.top + 30)).toBeLessThan(128);
});

test('without labels there are pictures alone', async () => {
  const { columnLabels: _columns, rowLabels: _rows, ...plain } = request;
  const grid = await labelledGrid({ ...plain, columns: 1, rows: 1 }, [flat(40, 30, [1, 2, 3])]);
  const coloured = Array.from({ length: grid.data.length / 3 }, (_, p) => grid.data[p * 3]).filter((red) => red === 1);
  expect(coloured).toHaveLength(40 * 30);
});

// Plan: parameters begin at multiples of a block and are cut into pages; the three matrices of a packed q|k|v lie apart where that is asked
// for, which moves nothing if they fill their blocks; values come back in their order.
import { expect, test } from 'vitest';
import { layOutPages } from './pageLayout.ts';

const whole = { factor: 1, parts: 1 };

test('parameters begin at multiples of a block', () => {
  const { slots, pages } = layOutPages([
    { ...whole, shape: [4, 100] },
    { ...whole, shape: [70], factor: 0.5 },
  ]);
  expect(slots).toEqual([
    { parameter: 0, from: 0, count: 400, page: 0, offset: 0 },
    { parameter: 1, from: 0, count: 70, page: 0, offset: 512 },
  ]);
  expect(pages).toEqual([
    {
      size: 768,
      factors: [1, 1, 0.5],
      matrices: [
        { offset: 0, rows: 4, columns: 100, factor: 1 },
        { offset: 512, rows: 70, columns: 1, factor: 0.5 },
      ],
    },
  ]);
});

test('a page holds so many values, and a parameter lies in one', () => {
  const large = { ...whole, shape: [1024, 3072] };
  const { slots, pages } = layOutPages([large, large]);
  expect(slots.map(({ page, offset }) => [page, offset])).toEqual([
    [0, 0],
    [1, 0],
  ]);
  expect(pages.map(({ size }) => size)).toEqual([1024 * 3072, 1024 * 3072]);
});

test('the parts of a packed projection are matrices of their own', () => {
  const { slots, pages } = layOutPages([{ factor: 1, shape: [6, 100], parts: 3 }]);
  expect(slots.map(({ from, count, offset }) => [from, count, offset])).toEqual([
    [0, 200, 0],
    [200, 200, 256],
    [400, 200, 512],
  ]);
  expect(pages[0]!.matrices).toEqual([0, 256, 512].map((offset) => ({ offset, rows: 2, columns: 100, factor: 1 })));
});

test('parts that fill their blocks lie as the whole does', () => {
  const { slots, pages } = layOutPages([{ factor: 1, shape: [12, 320], parts: 3 }]);
  expect(slots.map(({ from, offset }) => from - offset)).toEqual([0, 0, 0]);
  expect(pages[0]!.size).toBe(12 * 320);
});

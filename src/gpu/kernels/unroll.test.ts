// Plan: loops up to a given constant are written out, nested blocks and all; other loops stay; a shader without an end fails.
import { expect, test } from 'vitest';
import { unroll } from './unroll.ts';

test('unroll: writes out loops up to a constant', () => {
  const shader = 'a(); for (var d = 0u; d < WIDTH; d++) { if (d > 0u) { x[4u * d] += depth; } } b();';
  expect(unroll(shader, { WIDTH: 2 })).toBe(
    'a(); { if (0u > 0u) { x[4u * 0u] += depth; } }\n{ if (1u > 0u) { x[4u * 1u] += depth; } } b();',
  );
  expect(unroll(shader, { WIDTH: 1 })).toBe('a(); { if (0u > 0u) { x[4u * 0u] += depth; } } b();');
});

test('unroll: several constants, several loops, loops in loops', () => {
  const shader =
    'for (var i = 0u; i < A; i++) { for (var j = 0u; j < B; j++) { f(i, j); } }for (var k = 0u; k < A; k++) { g(k); }';
  expect(unroll(shader, { A: 1, B: 2 })).toBe('{ { f(0u, 0u); }\n{ f(0u, 1u); } }{ g(0u); }');
});

test('unroll: leaves other loops alone', () => {
  const shader = 'for (var d = 0u; d < count; d++) { f(d); }';
  expect(unroll(shader, { WIDTH: 2 })).toBe(shader);
});

test('unroll: a loop without an end is an error', () => {
  expect(() => unroll('for (var d = 0u; d < A; d++) { f(d);', { A: 2 })).toThrow('unroll: a loop has no end');
});

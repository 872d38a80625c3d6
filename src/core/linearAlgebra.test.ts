// Plan: products, orthogonal columns and singular values against what they must satisfy (A = Q R, QᵀQ = 1, A = U S Vᵀ), for random
// matrices, for ones with dependent or zero columns, and for one whose singular values are known.
import { describe, expect, test } from 'vitest';
import { expectClose } from '../../tools/testing.ts';
import { matmul, matrix, qr, svd, transposed, type Matrix } from './linearAlgebra.ts';
import { TorchGenerator } from './rng.ts';

function random(rows: number, columns: number, seed: number): Matrix {
  return matrix(
    rows,
    columns,
    new TorchGenerator(seed).rand(rows * columns).map((u) => u - 0.5),
  );
}

function diagonal(values: ArrayLike<number>): Matrix {
  const n = values.length;
  return matrix(
    n,
    n,
    Array.from({ length: n * n }, (_, i) => (i % (n + 1) === 0 ? values[i / (n + 1)]! : 0)),
  );
}

const rank2 = matmul(random(5, 2, 1), random(2, 5, 2));

describe('qr', () => {
  test.each([
    ['tall', random(9, 4, 3), [1, 1, 1, 1]],
    ['wide: more columns than there are directions', random(3, 5, 4), [1, 1, 1, 0, 0]],
    ['with a zero column', matrix(3, 2, [0, 1, 0, 2, 0, 3]), [0, 1]],
  ])('%s', (_name, a, norms) => {
    const { q, r } = qr(a);
    expectClose(matmul(q, r).values, a.values, 1e-14);
    expectClose(matmul(transposed(q), q).values, diagonal(norms).values, 1e-12);
    for (let i = 0; i < r.rows; i++) for (let j = 0; j < i; j++) expect(r.values[i * r.columns + j]).toBe(0);
  });
});

describe('svd', () => {
  test.each([
    ['random', random(6, 6, 5)],
    ['of rank 2', rank2],
    ['zero', matrix(3, 3, new Float64Array(9))],
    ['of one number', matrix(1, 1, [-3])],
  ])('%s', (_name, a) => {
    const { u, s, v } = svd(a);
    expectClose(matmul(matmul(u, diagonal(s)), transposed(v)).values, a.values, 1e-13);
    expectClose(matmul(transposed(v), v).values, diagonal(new Float64Array(a.columns).fill(1)).values, 1e-13);
    for (let i = 1; i < s.length; i++) expect(s[i - 1]).toBeGreaterThanOrEqual(s[i]!);
  });

  test('singular values that are known', () => {
    expectClose(svd(rank2).s.subarray(2), [0, 0, 0], 1e-14);
    // [[3, 0], [4, 5]] has the singular values sqrt(45) and sqrt(5).
    expectClose(svd(matrix(2, 2, [3, 0, 4, 5])).s, [Math.sqrt(45), Math.sqrt(5)], 1e-13);
  });
});

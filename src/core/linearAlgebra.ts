/**
 * The little linear algebra that adapters need, in double precision: orthogonal columns and the singular values of small square
 * matrices. Matrices are row-major.
 */

export interface Matrix {
  readonly rows: number;
  readonly columns: number;
  readonly values: Float64Array;
}

export function matrix(rows: number, columns: number, values: ArrayLike<number>): Matrix {
  return { rows, columns, values: Float64Array.from(values) };
}

/** a b. */
export function matmul(a: Matrix, b: Matrix): Matrix {
  const out = new Float64Array(a.rows * b.columns);
  for (let m = 0; m < a.rows; m++) {
    for (let k = 0; k < a.columns; k++) {
      const factor = a.values[m * a.columns + k]!;
      if (factor === 0) continue;
      for (let n = 0; n < b.columns; n++) out[m * b.columns + n]! += factor * b.values[k * b.columns + n]!;
    }
  }
  return { rows: a.rows, columns: b.columns, values: out };
}

export function transposed({ rows, columns, values }: Matrix): Matrix {
  const out = new Float64Array(values.length);
  for (let r = 0; r < rows; r++) for (let c = 0; c < columns; c++) out[c * rows + r] = values[r * columns + c]!;
  return { rows: columns, columns: rows, values: out };
}

function normOf(values: Float64Array): number {
  return Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));
}

/**
 * A = Q R by Gram-Schmidt, each column orthogonalised twice ("twice is enough", Parlett). A column that depends on those before it
 * becomes zero in Q, and so does its row of R.
 */
export function qr(a: Matrix): { readonly q: Matrix; readonly r: Matrix } {
  const { rows, columns } = a;
  const q = transposed(a); // Its rows are the columns.
  const r = new Float64Array(columns * columns);
  const dot = (i: number, j: number): number => {
    let sum = 0;
    for (let k = 0; k < rows; k++) sum += q.values[i * rows + k]! * q.values[j * rows + k]!;
    return sum;
  };
  for (let j = 0; j < columns; j++) {
    const before = Math.sqrt(dot(j, j));
    for (let pass = 0; pass < 2; pass++) {
      for (let i = 0; i < j; i++) {
        const share = dot(i, j);
        if (share === 0) continue;
        r[i * columns + j]! += share;
        for (let k = 0; k < rows; k++) q.values[j * rows + k]! -= share * q.values[i * rows + k]!;
      }
    }
    const norm = Math.sqrt(dot(j, j));
    const isDependent = norm <= before * 1e-13;
    r[j * columns + j] = isDependent ? 0 : norm;
    for (let k = 0; k < rows; k++) q.values[j * rows + k] = isDependent ? 0 : q.values[j * rows + k]! / norm;
  }
  return { q: transposed(q), r: { rows: columns, columns, values: r } };
}

/** A = U diag(s) Vᵀ of a square matrix, the largest first, by one-sided Jacobi rotations (Hestenes 1958). */
export function svd(a: Matrix): { readonly u: Matrix; readonly s: Float64Array; readonly v: Matrix } {
  const n = a.columns;
  const u = transposed(a).values; // Rows are columns: they are what is rotated.
  const v = new Float64Array(n * n);
  for (let i = 0; i < n; i++) v[i * n + i] = 1;
  const rotate = (values: Float64Array, p: number, q: number, cos: number, sin: number): void => {
    for (let k = 0; k < n; k++) {
      const [x, y] = [values[p * n + k]!, values[q * n + k]!];
      values[p * n + k] = cos * x - sin * y;
      values[q * n + k] = sin * x + cos * y;
    }
  };
  const sweepsAtMost = 60;
  for (let sweep = 0, rotated = true; rotated && sweep < sweepsAtMost; sweep++) {
    rotated = false;
    for (let p = 0; p < n - 1; p++) {
      for (let q = p + 1; q < n; q++) {
        let [pp, qq, pq] = [0, 0, 0];
        for (let k = 0; k < n; k++) {
          const [x, y] = [u[p * n + k]!, u[q * n + k]!];
          pp += x * x;
          qq += y * y;
          pq += x * y;
        }
        if (Math.abs(pq) <= 1e-15 * Math.sqrt(pp * qq)) continue;
        rotated = true;
        const tau = (qq - pp) / (2 * pq);
        const tan = Math.sign(tau || 1) / (Math.abs(tau) + Math.sqrt(1 + tau * tau));
        const cos = 1 / Math.sqrt(1 + tan * tan);
        rotate(u, p, q, cos, cos * tan);
        rotate(v, p, q, cos, cos * tan);
      }
    }
  }
  const norms = Float64Array.from({ length: n }, (_, i) => normOf(u.subarray(i * n, (i + 1) * n)));
  const order = Array.from(norms.keys()).sort((i, j) => norms[j]! - norms[i]!);
  const sorted = (values: Float64Array, scaled: boolean): Matrix => {
    const out = new Float64Array(n * n);
    order.forEach((from, to) => {
      const factor = scaled && norms[from]! > 0 ? 1 / norms[from]! : 1;
      for (let k = 0; k < n; k++) out[k * n + to] = values[from * n + k]! * factor;
    });
    return { rows: n, columns: n, values: out };
  };
  return { u: sorted(u, true), s: Float64Array.from(order, (i) => norms[i]!), v: sorted(v, false) };
}

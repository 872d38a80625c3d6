/** Arithmetic on the small factors of adapters, and the change of a weight that they make. All matrices are row-major. */
import { invariant } from '../../core/invariant.ts';
import type { Delta, LoraModule, Product, WeightChange } from './types.ts';

/** [m, k] times [k, n]. */
export function multiply(a: Float32Array, b: Float32Array, inner: number): Float32Array {
  const [rows, columns] = [a.length / inner, b.length / inner];
  const out = new Float32Array(rows * columns);
  const row = new Float64Array(columns);
  for (let m = 0; m < rows; m++) {
    row.fill(0);
    for (let k = 0; k < inner; k++) {
      const factor = a[m * inner + k]!;
      if (factor === 0) continue;
      for (let n = 0; n < columns; n++) row[n]! += factor * b[k * columns + n]!;
    }
    out.set(row, m * columns);
  }
  return out;
}

export function transpose(matrix: Float32Array, rows: number): Float32Array {
  const columns = matrix.length / rows;
  const out = new Float32Array(matrix.length);
  for (let r = 0; r < rows; r++) for (let c = 0; c < columns; c++) out[c * rows + r] = matrix[r * columns + c]!;
  return out;
}

/** Σ_s core[r, s, taps] * b[s, columns] as [r, columns, taps]: a Tucker decomposition's core times one of its factors. */
export function expandKernel(
  core: Float32Array,
  b: Float32Array,
  [rows, inner, taps]: readonly [rows: number, inner: number, taps: number],
): Float32Array {
  const columns = b.length / inner;
  const out = new Float32Array(rows * columns * taps);
  for (let r = 0; r < rows; r++) {
    for (let s = 0; s < inner; s++) {
      for (let c = 0; c < columns; c++) {
        const factor = b[s * columns + c]!;
        for (let t = 0; t < taps; t++) out[(r * columns + c) * taps + t]! += core[(r * inner + s) * taps + t]! * factor;
      }
    }
  }
  return out;
}

function product({ a, b, rank }: Product): Float32Array {
  return multiply(a, b, rank);
}

/** The change itself, [out, in * taps], without its scale. */
export function expandDelta(delta: Delta, outFeatures: number): Float32Array {
  switch (delta.kind) {
    case 'product':
      return product(delta.product);
    case 'hadamard': {
      const [first, second] = [product(delta.first), product(delta.second)];
      return first.map((value, i) => value * second[i]!);
    }
    case 'kronecker': {
      const { left, rows, columns, right } = delta;
      const innerRows = outFeatures / rows;
      const innerColumns = right.length / innerRows;
      const out = new Float32Array(left.length * right.length);
      for (let r = 0; r < rows; r++) {
        for (let ir = 0; ir < innerRows; ir++) {
          for (let c = 0; c < columns; c++) {
            const at = ((r * innerRows + ir) * columns + c) * innerColumns;
            const factor = left[r * columns + c]!;
            for (let ic = 0; ic < innerColumns; ic++) out[at + ic] = factor * right[ir * innerColumns + ic]!;
          }
        }
      }
      return out;
    }
    case 'full':
      return delta.values;
  }
}

/** A low-rank pair, with DoRA's magnitudes or without, as the change of a weight. */
export function asWeightChange(module: LoraModule): WeightChange {
  const { down, up, rank, alpha, magnitude, ...layer } = module;
  return {
    ...layer,
    delta: { kind: 'product', product: { a: up, b: down, rank } },
    scale: alpha / rank,
    ...(magnitude ? { magnitude: { values: magnitude, axis: 'output' } } : {}),
  };
}

/** A change as a low-rank pair, with DoRA's magnitudes of the outputs or without; null if it is of another kind. */
export function asLowRank(change: WeightChange): LoraModule | null {
  const { delta, scale, magnitude, bias, ...layer } = change;
  if (delta?.kind !== 'product' || bias || magnitude?.axis === 'input') return null;
  const { a, b, rank } = delta.product;
  return { ...layer, down: b, up: a, rank, alpha: scale * rank, ...(magnitude ? { magnitude: magnitude.values } : {}) };
}

/** What DoRA's square of a norm counts at least, as in gpu/kernels/dora.ts: a row of zeros stays one. */
export const leastSquare = 2 ** -100;

/**
 * What `change` adds at weight 1 to the weight `base` [out, in * taps] of its layer: scale * delta, or with DoRA
 * magnitude * D / |D| - W with D = W + scale * delta. `base` is needed for DoRA only.
 */
export function denseChange(change: WeightChange, base?: Float32Array): Float32Array {
  const { delta, scale, magnitude, outFeatures, inFeatures, kernel = [1, 1] } = change;
  const taps = kernel[0] * kernel[1];
  const size = outFeatures * inFeatures * taps;
  const added = delta === null ? new Float32Array(size) : expandDelta(delta, outFeatures).map((value) => value * scale);
  if (!magnitude) return added;
  invariant(base?.length === size, `${change.module}: DoRA needs the layer's own weight`);
  const indexOf = (i: number): number =>
    magnitude.axis === 'output' ? Math.floor(i / (inFeatures * taps)) : Math.floor(i / taps) % inFeatures;
  const squares = new Float64Array(magnitude.values.length);
  added.forEach((value, i) => (squares[indexOf(i)]! += (value + base[i]!) ** 2));
  return added.map((value, i) => {
    const row = indexOf(i);
    return ((value + base[i]!) * magnitude.values[row]!) / Math.sqrt(Math.max(squares[row]!, leastSquare)) - base[i]!;
  });
}

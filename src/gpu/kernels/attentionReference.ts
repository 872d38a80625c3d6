/** Attention as the textbook has it, with the whole score matrix and in double precision: what the kernels are tested against. */

export interface AttentionLayout {
  readonly samples: number;
  readonly lq: number;
  readonly lk: number;
  readonly heads: number;
  /** Columns of a head. */
  readonly depth: number;
  /** Values from row to row of q and of kv. */
  readonly qStride: number;
  readonly kvStride: number;
  /** Columns of kv at which the keys and the values begin. The queries begin at column 0 of q. */
  readonly kOffset: number;
  readonly vOffset: number;
  readonly causal: boolean;
}

type Values = Float32Array | Int32Array;

/** One query of one head: where things lie, its probabilities, and the log of the sum under them. */
interface QueryRow {
  readonly q: number;
  readonly y: number;
  readonly statistics: number;
  readonly probabilities: readonly number[];
  readonly logSumExp: number;
  k(j: number): number;
  v(j: number): number;
}

function* queryRows(layout: AttentionLayout, q: Values, kv: Values): Generator<QueryRow> {
  const { samples, lq, lk, heads, depth, qStride, kvStride, kOffset, vOffset, causal } = layout;
  for (let n = 0; n < samples; n++) {
    for (let h = 0; h < heads; h++) {
      const k = (j: number): number => (n * lk + j) * kvStride + kOffset + h * depth;
      const v = (j: number): number => (n * lk + j) * kvStride + vOffset + h * depth;
      for (let i = 0; i < lq; i++) {
        const qAt = (n * lq + i) * qStride + h * depth;
        const scores: number[] = [];
        for (let j = 0; j < (causal ? Math.min(i + 1, lk) : lk); j++)
          scores.push(dot(q, qAt, kv, k(j), depth) / Math.sqrt(depth));
        const top = Math.max(...scores);
        const logSumExp = top + Math.log(scores.reduce((sum, s) => sum + Math.exp(s - top), 0));
        yield {
          q: qAt,
          y: (n * lq + i) * heads * depth + h * depth,
          statistics: (n * heads + h) * lq + i,
          probabilities: scores.map((s) => Math.exp(s - logSumExp)),
          logSumExp,
          k,
          v,
        };
      }
    }
  }
}

/** o `[N, Lq, C]` and the log-sum-exp `[N, heads, Lq]` of each query's scores. */
export function attentionForward(
  layout: AttentionLayout,
  q: Values,
  kv: Values,
): { o: Float32Array; lse: Float32Array } {
  const { samples, lq, heads, depth } = layout;
  const o = new Float32Array(samples * lq * heads * depth);
  const lse = new Float32Array(samples * heads * lq);
  for (const row of queryRows(layout, q, kv)) {
    for (let d = 0; d < depth; d++)
      o[row.y + d] = row.probabilities.reduce((sum, p, j) => sum + p * kv[row.v(j) + d]!, 0);
    lse[row.statistics] = row.logSumExp;
  }
  return { o, lse };
}

/** Adds the gradients to dq and dkv, which are laid out as q and kv (and may be one array, as q and kv may). */
export function attentionBackward(
  layout: AttentionLayout,
  q: Values,
  kv: Values,
  dy: Values,
  dq: Float64Array,
  dkv: Float64Array,
): void {
  const { depth } = layout;
  for (const row of queryRows(layout, q, kv)) {
    const dp = row.probabilities.map((_, j) => dot(dy, row.y, kv, row.v(j), depth));
    const mean = dp.reduce((sum, value, j) => sum + value * row.probabilities[j]!, 0);
    row.probabilities.forEach((p, j) => {
      const ds = (p * (dp[j]! - mean)) / Math.sqrt(depth);
      for (let d = 0; d < depth; d++) {
        dq[row.q + d]! += ds * kv[row.k(j) + d]!;
        dkv[row.k(j) + d]! += ds * q[row.q + d]!;
        dkv[row.v(j) + d]! += p * dy[row.y + d]!;
      }
    });
  }
}

function dot(a: Values, aAt: number, b: Values, bAt: number, count: number): number {
  let sum = 0;
  for (let d = 0; d < count; d++) sum += a[aAt + d]! * b[bAt + d]!;
  return sum;
}

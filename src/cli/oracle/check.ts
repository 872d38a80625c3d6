/** Comparing what we computed with what the oracle recorded. */
import type { GoldenTensor, OraclePack, OracleCase, Tolerance } from './pack.ts';

/** The worst comparison of a case: the one that uses most of its tolerance. */
export interface Verdict {
  readonly maxAbsError: number;
  readonly tolerance: number;
  readonly pass: boolean;
  /** Which output, and where. */
  readonly where: string;
}

/** Collects the comparisons of one case. */
export class Checker {
  private worst: Verdict | null = null;
  /** References of outputs that were compared, to notice those that were not. */
  private readonly seen = new Set<string>();

  constructor(
    private readonly pack: OraclePack,
    private readonly oracleCase: OracleCase,
  ) {}

  /** Compares `actual` with the tensor that plays `role`, if the case has that role. NCHW, as recorded. */
  async compare(role: string, actual: ArrayLike<number>): Promise<void> {
    const reference = this.oracleCase.roles[role];
    if (reference === undefined) return;
    this.seen.add(role);
    const expected = await this.pack.tensor(reference);
    this.note(role, actual, expected, this.toleranceOf(reference));
  }

  /** Compares one tensor of a set whose tolerance is that of `reference`, which may be relative to the tensor's maximum. */
  note(what: string, actual: ArrayLike<number>, expected: GoldenTensor, tolerance: Tolerance): void {
    const { atol = 0, rtol_of_max: relative = 0 } = tolerance;
    let largest = 0;
    for (const value of expected.values) largest = Math.max(largest, Math.abs(value));
    this.record(what, maxAbsError(actual, expected.values), atol + (relative === 0 ? 0 : relative * largest));
  }

  /** Records an error that was computed elsewhere. */
  record(where: string, error: number, tolerance: number): void {
    const share = (e: number, t: number): number => (Number.isNaN(e) ? Infinity : t > 0 ? e / t : e > 0 ? Infinity : 0);
    if (!this.worst || share(error, tolerance) > share(this.worst.maxAbsError, this.worst.tolerance)) {
      this.worst = { maxAbsError: error, tolerance, pass: error <= tolerance, where };
    }
  }

  toleranceOf(reference: string): Tolerance {
    return this.oracleCase.tolerance[reference] ?? {};
  }

  hasRole(role: string): boolean {
    return role in this.oracleCase.roles;
  }

  /** The verdict; outputs named by the case that nobody compared count as a failure. */
  verdict(): Verdict {
    const outputs = Object.entries(this.oracleCase.roles).filter(
      ([, reference]) => reference in this.oracleCase.tolerance,
    );
    const missed = outputs.find(([role, reference]) => !this.seen.has(role) && !reference.endsWith('*'));
    if (missed) return { maxAbsError: Infinity, tolerance: 0, pass: false, where: `${missed[0]} was not computed` };
    return this.worst ?? { maxAbsError: Infinity, tolerance: 0, pass: false, where: 'nothing was compared' };
  }
}

/** NaN anywhere, or unequal lengths, make the result NaN or infinite. */
export function maxAbsError(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (actual.length !== expected.length) return Infinity;
  let worst = 0;
  for (let i = 0; i < expected.length; i++) {
    // Infinity equals itself.
    const error = actual[i] === expected[i] ? 0 : Math.abs(actual[i]! - expected[i]!);
    if (Number.isNaN(error)) return NaN;
    if (error > worst) worst = error;
  }
  return worst;
}

/** [N, H, W, C] to [N, C, H, W]; the oracle records images and latents that way. */
export function toNchw(values: ArrayLike<number>, [n, h, w, c]: readonly number[]): Float32Array {
  const out = new Float32Array(values.length);
  const pixels = h! * w!;
  for (let i = 0; i < n!; i++) {
    for (let k = 0; k < c!; k++)
      for (let p = 0; p < pixels; p++) out[(i * c! + k) * pixels + p] = values[(i * pixels + p) * c! + k]!;
  }
  return out;
}

/** [N, C, H, W] to [N, H, W, C]. */
export function toNhwc({ values, shape }: GoldenTensor): Float32Array {
  const [n = 1, c = 1, h = 1, w = 1] = shape;
  const out = new Float32Array(values.length);
  const pixels = h * w;
  for (let i = 0; i < n; i++) {
    for (let k = 0; k < c; k++)
      for (let p = 0; p < pixels; p++) out[(i * pixels + p) * c + k] = values[(i * c + k) * pixels + p]!;
  }
  return out;
}

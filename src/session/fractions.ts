/** How far a drawing is, by the pixels that its walks compute. */
import { defined } from '../core/invariant.ts';

/** How far a job is: every walk of every batch takes its share of the whole. */
export class Fractions {
  private readonly total: number;

  /** `walks`: what each walk takes for one picture; `counts`: pictures of each batch. */
  constructor(
    private readonly walks: readonly number[],
    private readonly counts: readonly number[],
  ) {
    this.total = sum(walks) * sum(counts);
  }

  at(batch: number, walk: number, ofWalk: number): number {
    const before = sum(this.counts.slice(0, batch)) * sum(this.walks);
    const now = defined(this.counts[batch]) * (sum(this.walks.slice(0, walk)) + defined(this.walks[walk]) * ofWalk);
    return this.total === 0 ? 1 : (before + now) / this.total;
  }
}

function sum(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0);
}

/** What the depth of the UNet made of the last whole call, for the calls that reuse it. */
import { concatSamples, sliceSamples, tidy, type Tensor } from '../gpu/ops.ts';
import { invariant } from '../core/invariant.ts';

/** Rows `first` .. `end` of all that a walk sends through the UNet: those of the negative prompt, then those of the prompt. */
export type Rows = readonly [first: number, end: number];

interface Kept {
  readonly rows: Rows;
  /** [end - first, H, W, C] */
  readonly tensor: Tensor;
}

export class DeepFeatures {
  private kept: Kept[] = [];

  /** Takes the tensor over. */
  keep(rows: Rows, tensor: Tensor): void {
    this.kept.push({ rows, tensor });
  }

  /** The features of these rows, which must have been kept, in whatever parts; the tensor is only lent. */
  of(rows: Rows): Tensor {
    const [first, end] = rows;
    const same = this.kept.find((one) => one.rows[0] === first && one.rows[1] === end);
    if (same) return same.tensor;
    // Without guidance only the prompt's rows are asked for, and not in the parts in which both halves were computed.
    const joined = tidy(() => {
      const parts: Tensor[] = [];
      let at = first;
      while (at < end) {
        const part = this.kept.find(({ rows: [from, to] }) => from <= at && at < to);
        invariant(part, 'All rows were kept', { first, end, at });
        const to = Math.min(end, part.rows[1]);
        parts.push(sliceSamples(part.tensor, at - part.rows[0], to - at));
        at = to;
      }
      return parts.length === 1 ? parts[0]! : concatSamples(parts);
    });
    this.keep(rows, joined);
    return joined;
  }

  dispose(): void {
    for (const { tensor } of this.kept) tensor.dispose();
    this.kept = [];
  }
}

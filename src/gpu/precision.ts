/**
 * The precision of products with frozen weights (linear layers and convolutions, forward and backward), as a scope around what
 * records them, in the way of torch.autocast. In `f16` both factors of a product are rounded to halves, and its sum is kept in float32;
 * all the rest of the engine is float32 in either.
 */
import { invariant } from '../core/invariant.ts';

export type Precision = 'f32' | 'f16';

/** What an option says, in kohya's words, of training and drawing alike. */
export function precisionOf({ mixedPrecision = 'no' }: { readonly mixedPrecision?: 'no' | 'fp16' }): Precision {
  return mixedPrecision === 'fp16' ? 'f16' : 'f32';
}

let current: Precision = 'f32';

/** Of the scope that is open; f32 outside of any. What is recorded now must be repeated like this on its way back. */
export function precisionOfProducts(): Precision {
  return current;
}

/** Runs `record`, whose products are computed in `precision`. Commands are recorded at once, so it must not be asynchronous. */
export function withPrecision<T>(precision: Precision, record: () => T): T {
  const before = current;
  current = precision;
  try {
    const result = record();
    invariant(!(result instanceof Promise), 'withPrecision: what is recorded later is outside of the scope');
    return result;
  } finally {
    current = before;
  }
}

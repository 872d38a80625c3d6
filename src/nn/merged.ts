import { add, lowScale, scale, type Tensor } from '../gpu/ops.ts';

/** A layer's weights with the changes of adapters added in: two frozen weights that count as high + lowScale * low, and the bias. */
export interface MergedWeights {
  readonly high: Tensor;
  readonly low: Tensor;
  readonly bias: Tensor | null;
}

/** What a layer gives for both parts of its weights, from what it gives for each. */
export function addParts(high: Tensor, low: Tensor): Tensor {
  return add(high, scale(low, lowScale));
}

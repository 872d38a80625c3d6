import type { LinearWeights, LoraBranch } from '../gpu/kernels/linear.ts';
import { linear, type Tensor } from '../gpu/ops.ts';

/**
 * y = x Wᵀ + b (+ residual), W frozen, plus whatever LoRA branch is plugged in. Several projections of one input may lie side
 * by side in W (`modules` names them in column order): one dispatch then computes all of them.
 */
export class Linear {
  /** The adapter's part of this layer; plugged in and out by adapter/, differentiated by the trainer. */
  lora: LoraBranch | null = null;

  constructor(
    readonly weights: LinearWeights,
    readonly modules: readonly string[],
  ) {}

  /** x: [..., inFeatures] -> [..., outFeatures]. */
  forward(x: Tensor, residual?: Tensor): Tensor {
    return linear(x, this.weights, {
      ...(residual ? { residual } : {}),
      ...(this.lora ? { lora: this.lora } : {}),
    });
  }
}

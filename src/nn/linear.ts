import type { LoraMagnitude } from '../gpu/kernels/dora.ts';
import type { LinearWeights } from '../gpu/kernels/linear.ts';
import type { LoraBranch } from '../gpu/kernels/loraBranch.ts';
import { doraNorm, linear, scaleColumns, type Tensor } from '../gpu/ops.ts';
import { addParts, type MergedWeights } from './merged.ts';

/**
 * y = x Wᵀ + b (+ residual), W frozen, plus whatever LoRA branch is plugged in. Several projections of one input may lie side
 * by side in W (`modules` names them in column order): one dispatch then computes all of them.
 */
export class Linear {
  /** The adapter's part of this layer; plugged in and out by adapter/, differentiated by the trainer. */
  lora: LoraBranch | null = null;
  /** With a branch that is being trained as DoRA. */
  magnitude: LoraMagnitude | null = null;
  /** Stands in for the weights while an adapter that is no low-rank branch is plugged in. */
  merged: MergedWeights | null = null;

  /** `isConvolution`: it is a 1x1 convolution in the model's own layout, so that adapters' files have [.., .., 1, 1]. */
  constructor(
    readonly weights: LinearWeights,
    readonly modules: readonly string[],
    readonly isConvolution = false,
  ) {}

  /** x: [..., inFeatures] -> [..., outFeatures]. */
  forward(x: Tensor, residual?: Tensor): Tensor {
    const { weights, merged, lora, magnitude } = this;
    if (lora && magnitude) {
      const plain = { ...weights, bias: null };
      const norm = (): Tensor => doraNorm(lora, magnitude, linear(lora.a, plain));
      const { bias } = weights;
      return scaleColumns(linear(x, plain, { lora }), { magnitude: magnitude.vector, norm }, { bias, residual });
    }
    const options = { ...(residual ? { residual } : {}), ...(lora ? { lora } : {}) };
    if (!merged) return linear(x, weights, options);
    const { high, low, bias } = merged;
    return addParts(
      linear(x, { ...weights, weight: high, format: 'f16', bias }, options),
      linear(x, { ...weights, weight: low, format: 'f16', bias: null }),
    );
  }
}

import type { ConvWeights } from '../gpu/kernels/conv2d.ts';
import type { LoraBranch } from '../gpu/kernels/loraBranch.ts';
import type { LoraMagnitude } from '../gpu/kernels/dora.ts';
import { conv2d, doraNorm, reshape, scaleColumns, type Tensor } from '../gpu/ops.ts';
import { addParts, type MergedWeights } from './merged.ts';

export interface ConvOptions {
  readonly stride?: 1 | 2;
  /** [top, left, bottom, right]; default: what keeps the size at stride 1. */
  readonly padding?: readonly [number, number, number, number];
  /** [N, outChannels], added to every pixel. */
  readonly timeEmbedding?: Tensor;
  readonly residual?: Tensor;
}

/** A frozen square convolution over NHWC, plus whatever LoRA branch is plugged in. */
export class Conv2d {
  /** The adapter's part of this layer; plugged in and out by adapter/, differentiated by the trainer. */
  lora: LoraBranch | null = null;
  /** With a branch that is being trained as DoRA. */
  magnitude: LoraMagnitude | null = null;
  /** Stands in for the weights while an adapter that is no low-rank branch is plugged in. */
  merged: MergedWeights | null = null;

  /** `module` names it in the model. */
  constructor(
    readonly weights: ConvWeights,
    readonly module: string,
  ) {}

  /** x: [N, H, W, inChannels] -> [N, H', W', outChannels]. */
  forward(x: Tensor, options: ConvOptions = {}): Tensor {
    const { weights, merged, lora, magnitude } = this;
    const same = (weights.kernelSize - 1) / 2;
    const { stride = 1, padding = [same, same, same, same], timeEmbedding, residual } = options;
    if (lora && magnitude) {
      const plain = { ...weights, bias: null };
      const norm = (): Tensor => doraNorm(lora, magnitude, this.productsOf(lora.a));
      const { bias } = weights;
      return scaleColumns(
        conv2d(x, plain, { stride, padding, lora }),
        { magnitude: magnitude.vector, norm },
        { bias, timeEmbedding, residual },
      );
    }
    const given = {
      stride,
      padding,
      ...(timeEmbedding ? { timeEmbedding } : {}),
      ...(residual ? { residual } : {}),
      ...(lora ? { lora } : {}),
    };
    if (!merged) return conv2d(x, weights, given);
    const { high, low, bias } = merged;
    return addParts(
      conv2d(x, { ...weights, weight: high, format: 'f16', bias }, given),
      conv2d(x, { ...weights, weight: low, format: 'f16', bias: null }, { stride, padding }),
    );
  }

  /** A Wᵀ [rank, outChannels]: a kernel is an image of its own size, on which the convolution has one place. */
  private productsOf(a: Tensor): Tensor {
    const { weights } = this;
    const { kernelSize, inChannels, outChannels } = weights;
    const kernels = reshape(a, [a.shape[0], kernelSize, kernelSize, inChannels]);
    const products = conv2d(kernels, { ...weights, bias: null }, { stride: 1, padding: [0, 0, 0, 0] });
    return reshape(products, [a.shape[0], outChannels]);
  }
}

import type { ConvWeights } from '../gpu/kernels/conv2d.ts';
import { conv2d, type Tensor } from '../gpu/ops.ts';
import { addParts, type MergedWeights } from './merged.ts';

export interface ConvOptions {
  readonly stride?: 1 | 2;
  /** [top, left, bottom, right]; default: what keeps the size at stride 1. */
  readonly padding?: readonly [number, number, number, number];
  /** [N, outChannels], added to every pixel. */
  readonly timeEmbedding?: Tensor;
  readonly residual?: Tensor;
}

/** A frozen square convolution over NHWC. */
export class Conv2d {
  /** Stands in for the weights while an adapter is plugged in. */
  merged: MergedWeights | null = null;

  /** `module` names it in the model. */
  constructor(
    readonly weights: ConvWeights,
    readonly module: string,
  ) {}

  /** x: [N, H, W, inChannels] -> [N, H', W', outChannels]. */
  forward(x: Tensor, options: ConvOptions = {}): Tensor {
    const { weights, merged } = this;
    const same = (weights.kernelSize - 1) / 2;
    const { stride = 1, padding = [same, same, same, same], timeEmbedding, residual } = options;
    const given = {
      stride,
      padding,
      ...(timeEmbedding ? { timeEmbedding } : {}),
      ...(residual ? { residual } : {}),
    };
    if (!merged) return conv2d(x, weights, given);
    const { high, low, bias } = merged;
    return addParts(
      conv2d(x, { ...weights, weight: high, format: 'f16', bias }, given),
      conv2d(x, { ...weights, weight: low, format: 'f16', bias: null }, { stride, padding }),
    );
  }
}

import type { ConvWeights } from '../gpu/kernels/conv2d.ts';
import { conv2d, type Tensor } from '../gpu/ops.ts';

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
  constructor(readonly weights: ConvWeights) {}

  /** x: [N, H, W, inChannels] -> [N, H', W', outChannels]. */
  forward(x: Tensor, options: ConvOptions = {}): Tensor {
    const same = (this.weights.kernelSize - 1) / 2;
    const { stride = 1, padding = [same, same, same, same], timeEmbedding, residual } = options;
    return conv2d(x, this.weights, {
      stride,
      padding,
      ...(timeEmbedding ? { timeEmbedding } : {}),
      ...(residual ? { residual } : {}),
    });
  }
}

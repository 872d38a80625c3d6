import { groupNorm, layerNorm, type Tensor } from '../gpu/ops.ts';

/** GroupNorm with frozen affine parameters, optionally followed by SiLU in the same kernel. */
export class GroupNorm {
  constructor(
    readonly gamma: Tensor,
    readonly beta: Tensor,
    readonly groups: number,
    readonly epsilon: number,
  ) {}

  /** x: [N, ..., C] of the same shape out. */
  forward(x: Tensor, { silu = false }: { readonly silu?: boolean } = {}): Tensor {
    return groupNorm(x, this.gamma, this.beta, { groups: this.groups, epsilon: this.epsilon, silu });
  }
}

/** LayerNorm over the last axis with frozen affine parameters. */
export class LayerNorm {
  constructor(
    private readonly gamma: Tensor,
    private readonly beta: Tensor,
    private readonly epsilon: number,
  ) {}

  forward(x: Tensor): Tensor {
    return layerNorm(x, this.gamma, this.beta, this.epsilon);
  }
}

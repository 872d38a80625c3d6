/** The UNet's attention: transformers over the pixels as tokens, which also read the prompt. */
import { crossAttention, geglu, keep, reshape, selfAttention, subtract, tidy, type Tensor } from '../gpu/ops.ts';
import type { Linear } from '../nn/linear.ts';
import type { GroupNorm, LayerNorm } from '../nn/norms.ts';
import type { LayerLoader } from '../nn/weights.ts';

/** Called with intermediate values under diffusers' module names, for the oracle. The tensor is only lent. */
export type Tap = (name: string, value: Tensor) => void;

/**
 * Keys and values of all cross attentions for one context: they depend on nothing else, so that a picture's steps share them. Whoever
 * changes an adapter must begin a new one.
 */
export class CrossAttentionCache {
  private readonly kept = new Map<Linear, Tensor>();

  /** The projection of the context, computed at its first use. The tensor is only lent. */
  project(projection: Linear, context: Tensor): Tensor {
    const known = this.kept.get(projection);
    if (known) return known;
    const projected = keep(projection.forward(context));
    this.kept.set(projection, projected);
    return projected;
  }

  dispose(): void {
    for (const projected of this.kept.values()) projected.dispose();
    this.kept.clear();
  }
}

/** What a forward pass is given beside its values. */
export interface Extras {
  readonly tap: Tap | undefined;
  readonly crossAttention: CrossAttentionCache | null;
}

/** LayerNorm, attention, add; cross attention; GEGLU feed-forward: diffusers' BasicTransformerBlock. */
class TransformerBlock {
  private constructor(
    private readonly name: string,
    private readonly heads: number,
    private readonly norm1: LayerNorm,
    private readonly selfQkv: Linear,
    private readonly selfOut: Linear,
    private readonly norm2: LayerNorm,
    private readonly crossQ: Linear,
    private readonly crossKv: Linear,
    private readonly crossOut: Linear,
    private readonly norm3: LayerNorm,
    private readonly feedForwardIn: Linear,
    private readonly feedForwardOut: Linear,
  ) {}

  static async load(loader: LayerLoader, name: string, heads: number): Promise<TransformerBlock> {
    const epsilon = 1e-5;
    return new TransformerBlock(
      name,
      heads,
      await loader.layerNorm(`${name}.norm1`, epsilon),
      await loader.linear([`${name}.attn1.to_q`, `${name}.attn1.to_k`, `${name}.attn1.to_v`]),
      await loader.linear([`${name}.attn1.to_out.0`]),
      await loader.layerNorm(`${name}.norm2`, epsilon),
      await loader.linear([`${name}.attn2.to_q`]),
      await loader.linear([`${name}.attn2.to_k`, `${name}.attn2.to_v`]),
      await loader.linear([`${name}.attn2.to_out.0`]),
      await loader.layerNorm(`${name}.norm3`, epsilon),
      await loader.linear([`${name}.ff.net.0.proj`]),
      await loader.linear([`${name}.ff.net.2`]),
    );
  }

  layers(): Linear[] {
    const { selfQkv, selfOut, crossQ, crossKv, crossOut, feedForwardIn, feedForwardOut } = this;
    return [selfQkv, selfOut, crossQ, crossKv, crossOut, feedForwardIn, feedForwardOut];
  }

  /**
   * x: [N, L, C], context: [N, T, crossAttentionDim]. What a part needs is freed at its end (but what the tape keeps), not only
   * at the end of the segment.
   */
  forward(x: Tensor, context: Tensor, { tap, crossAttention: cache }: Extras): Tensor {
    const { heads, name } = this;
    const attended = tidy(() => {
      const qkv = tidy(() => this.selfQkv.forward(this.norm1.forward(x)));
      return this.selfOut.forward(selfAttention(qkv, { heads }), x);
    });
    tap?.(`${name}.attn1`, subtract(attended, x));
    const conditioned = tidy(() => {
      const query = this.crossQ.forward(this.norm2.forward(attended));
      const keyValue = cache ? cache.project(this.crossKv, context) : this.crossKv.forward(context);
      return this.crossOut.forward(crossAttention(query, keyValue, { heads }), attended);
    });
    tap?.(`${name}.attn2`, subtract(conditioned, attended));
    const hidden = tidy(() => geglu(tidy(() => this.feedForwardIn.forward(this.norm3.forward(conditioned)))));
    const output = this.feedForwardOut.forward(hidden, conditioned);
    tap?.(name, output);
    return output;
  }
}

/** GroupNorm, 1x1 projection in, transformer blocks over the pixels as tokens, projection out, add. */
export class SpatialTransformer {
  private constructor(
    private readonly name: string,
    private readonly norm: GroupNorm,
    private readonly projectIn: Linear,
    private readonly blocks: readonly TransformerBlock[],
    private readonly projectOut: Linear,
  ) {}

  static async load(loader: LayerLoader, name: string, groups: number, heads: number): Promise<SpatialTransformer> {
    const blocks: TransformerBlock[] = [];
    for (let i = 0; loader.reader.has(`${name}.transformer_blocks.${i}.norm1.weight`); i++) {
      blocks.push(await TransformerBlock.load(loader, `${name}.transformer_blocks.${i}`, heads));
    }
    return new SpatialTransformer(
      name,
      await loader.groupNorm(`${name}.norm`, groups, 1e-6),
      await loader.linear([`${name}.proj_in`]),
      blocks,
      await loader.linear([`${name}.proj_out`]),
    );
  }

  layers(): Linear[] {
    return [this.projectIn, ...this.blocks.flatMap((block) => block.layers()), this.projectOut];
  }

  forward(x: Tensor, context: Tensor, extras: Extras): Tensor {
    const { tap } = extras;
    const [n, h, w, c] = x.shape as [number, number, number, number];
    const normalised = this.norm.forward(x);
    tap?.(`${this.name}.norm`, normalised);
    const projected = this.projectIn.forward(normalised);
    tap?.(`${this.name}.proj_in`, projected);
    let tokens = reshape(projected, [n, h * w, projected.shape[3]!]);
    for (const block of this.blocks) tokens = tidy(() => block.forward(tokens, context, extras));
    const output = reshape(this.projectOut.forward(tokens, reshape(x, [n, h * w, c])), [n, h, w, c]);
    tap?.(this.name, output);
    return output;
  }
}

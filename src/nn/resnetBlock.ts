import { keep, tidy, type Tensor } from '../gpu/ops.ts';
import { normAndConvolve, type Bands } from './bands.ts';
import type { Conv2d } from './conv2d.ts';
import type { Linear } from './linear.ts';
import type { GroupNorm } from './norms.ts';
import type { AdaptableLayer, LayerLoader } from './weights.ts';

/**
 * norm1 -> SiLU -> conv1 (+ time embedding) -> norm2 -> SiLU -> conv2, plus a shortcut (1x1 where the width changes):
 * diffusers' ResnetBlock2D, in the UNet with a time embedding and in the VAE without.
 */
export class ResnetBlock {
  private constructor(
    private readonly norm1: GroupNorm,
    private readonly conv1: Conv2d,
    private readonly timeProjection: Linear | null,
    private readonly norm2: GroupNorm,
    private readonly conv2: Conv2d,
    private readonly shortcut: Linear | null,
  ) {}

  static async load(loader: LayerLoader, name: string, groups: number, epsilon: number): Promise<ResnetBlock> {
    const hasTime = loader.reader.has(`${name}.time_emb_proj.weight`);
    const hasShortcut = loader.reader.has(`${name}.conv_shortcut.weight`);
    return new ResnetBlock(
      await loader.groupNorm(`${name}.norm1`, groups, epsilon),
      await loader.conv2d(`${name}.conv1`),
      hasTime ? await loader.linear([`${name}.time_emb_proj`]) : null,
      await loader.groupNorm(`${name}.norm2`, groups, epsilon),
      await loader.conv2d(`${name}.conv2`),
      hasShortcut ? await loader.linear([`${name}.conv_shortcut`]) : null,
    );
  }

  /** All that an adapter may change, in forward order. */
  layers(): AdaptableLayer[] {
    const { conv1, timeProjection, conv2, shortcut } = this;
    return [...(timeProjection ? [timeProjection] : []), conv1, ...(shortcut ? [shortcut] : []), conv2];
  }

  /** x: [N, H, W, C] -> [N, H, W, C']. `activatedTime`: SiLU of the time embedding, [N, E]. */
  forward(x: Tensor, activatedTime?: Tensor): Tensor {
    const timeEmbedding = activatedTime && this.timeProjection ? this.timeProjection.forward(activatedTime) : undefined;
    const hidden = tidy(() =>
      this.conv1.forward(this.norm1.forward(x, { silu: true }), timeEmbedding ? { timeEmbedding } : {}),
    );
    const residual = this.shortcut ? this.shortcut.forward(x) : x;
    return this.conv2.forward(this.norm2.forward(hidden, { silu: true }), { residual });
  }

  /** The same without a time embedding for a picture in bands, which it takes over. */
  forwardBands(x: Bands): Bands {
    const { shortcut } = this;
    const residual: Tensor[] = [];
    const hidden = normAndConvolve(x, this.norm1, this.conv1, {
      lend: !shortcut,
      onBand: (band) => residual.push(shortcut ? keep(shortcut.forward(band)) : band),
    });
    return normAndConvolve(hidden, this.norm2, this.conv2, { residual });
  }
}

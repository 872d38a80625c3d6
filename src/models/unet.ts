/**
 * UNet2DConditionModel of Stable Diffusion 1.x (Rombach et al. 2022), driven by config.json.
 *
 * Layout NHWC; tokens are [N, H*W, C]. The network is a list of segments (nn/segments.ts): conv_in, one segment for each
 * resnet with its transformer, one for each change of size, conv_out. Values between segments: `h0`, `h1`, ... (the skips),
 * `m` (after the middle), `u0`, `u1`, ... (on the way up), `out`. All segments may read `time` and `context`.
 */
import { defined, invariant } from '../core/invariant.ts';
import {
  concatChannels,
  cropTo,
  crossAttention,
  geglu,
  keep,
  reshape,
  selfAttention,
  silu,
  subtract,
  tensor,
  tidy,
  upsampleNearest2x,
  type Tensor,
  type WeightFormat,
} from '../gpu/ops.ts';
import { runtime } from '../gpu/runtime.ts';
import type { Conv2d } from '../nn/conv2d.ts';
import type { Linear } from '../nn/linear.ts';
import type { GroupNorm, LayerNorm } from '../nn/norms.ts';
import { ResnetBlock } from '../nn/resnetBlock.ts';
import { runSegments, type Segment, type Values } from '../nn/segments.ts';
import { LayerLoader, trainableTensors, type AdaptableLayer, type WeightReader } from '../nn/weights.ts';
import { UnsupportedModelError, type ConfigReader } from './config.ts';

export interface UNetConfig {
  readonly inChannels: number;
  readonly outChannels: number;
  readonly blockOutChannels: readonly number[];
  /** For each level: whether it has transformers. */
  readonly downAttention: readonly boolean[];
  readonly upAttention: readonly boolean[];
  readonly layersPerBlock: number;
  readonly crossAttentionDim: number;
  /** Attention heads of each level. */
  readonly heads: readonly number[];
  readonly normGroups: number;
  readonly normEpsilon: number;
  readonly flipSinToCos: boolean;
  readonly freqShift: number;
  /** Side of the latents the model was trained on, in latent pixels. */
  readonly sampleSize: number;
}

/** Reads unet/config.json. Whatever Stable Diffusion 1.x does not use is refused by name rather than ignored. */
export function parseUNetConfig(config: ConfigReader): UNetConfig {
  config.require('_class_name', ['UNet2DConditionModel']);
  config.require('act_fn', ['silu']);
  config.require('downsample_padding', [1]);
  config.require('center_input_sample', [false]);
  config.require('mid_block_scale_factor', [1]);
  config.require('mid_block_type', ['UNetMidBlock2DCrossAttn']);
  config.require('dual_cross_attention', [false]);
  config.require('only_cross_attention', [false]);
  config.require('resnet_time_scale_shift', ['default']);
  config.require('time_embedding_type', ['positional']);
  config.require('conv_in_kernel', [3]);
  config.require('conv_out_kernel', [3]);
  config.require('transformer_layers_per_block', [1]);
  for (const name of [
    'class_embed_type',
    'addition_embed_type',
    'encoder_hid_dim_type',
    'time_cond_proj_dim',
    'num_class_embeds',
  ]) {
    config.require(name, []);
  }
  const blockOutChannels = config.numbers('block_out_channels', [320, 640, 1280, 1280]);
  const levels = blockOutChannels.length;
  const kinds = (name: string, withAttention: string, without: string, fallback: readonly string[]): boolean[] => {
    const types = config.strings(name, fallback);
    return types.map((type) => {
      if (type !== withAttention && type !== without)
        throw new UnsupportedModelError(config.where, `"${name}": "${type}"`);
      return type === withAttention;
    });
  };
  const plainLast = Array.from({ length: levels }, (_, i) => (i < levels - 1 ? 'CrossAttnDownBlock2D' : 'DownBlock2D'));
  // diffusers calls the number of heads `attention_head_dim` in these models (its documented naming error).
  const headsField =
    config.raw('num_attention_heads') === undefined || config.raw('num_attention_heads') === null
      ? 'attention_head_dim'
      : 'num_attention_heads';
  const heads = Array.isArray(config.raw(headsField))
    ? config.numbers(headsField)
    : Array.from({ length: levels }, () => config.number(headsField, 8));
  return {
    inChannels: config.number('in_channels', 4),
    outChannels: config.number('out_channels', 4),
    blockOutChannels,
    downAttention: kinds('down_block_types', 'CrossAttnDownBlock2D', 'DownBlock2D', plainLast),
    upAttention: kinds(
      'up_block_types',
      'CrossAttnUpBlock2D',
      'UpBlock2D',
      plainLast.map((type) => type.replace('Down', 'Up')).reverse(),
    ),
    layersPerBlock: config.number('layers_per_block', 2),
    crossAttentionDim: config.number('cross_attention_dim', 1280),
    heads,
    normGroups: config.number('norm_num_groups', 32),
    normEpsilon: config.number('norm_eps', 1e-5),
    flipSinToCos: config.boolean('flip_sin_to_cos', true),
    freqShift: config.number('freq_shift', 0),
    sampleSize: config.number('sample_size', 64),
  };
}

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
interface Extras {
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
class SpatialTransformer {
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

interface Layer {
  readonly name: string;
  readonly resnet: ResnetBlock;
  readonly transformer: SpatialTransformer | null;
}

interface Level {
  readonly name: string;
  readonly layers: readonly Layer[];
  /** The stride-2 convolution after the layers (down) or the convolution after doubling (up). */
  readonly resample: Conv2d | null;
}

export class UNet2DCondition {
  /** Set by the oracle only. */
  tap: Tap | undefined;
  private crossAttention: CrossAttentionCache | null = null;

  private constructor(
    readonly config: UNetConfig,
    private readonly timeLinear1: Linear,
    private readonly timeLinear2: Linear,
    private readonly convIn: Conv2d,
    private readonly downs: readonly Level[],
    private readonly mid: {
      readonly first: ResnetBlock;
      readonly transformer: SpatialTransformer;
      readonly second: ResnetBlock;
    },
    private readonly ups: readonly Level[],
    private readonly normOut: GroupNorm,
    private readonly convOut: Conv2d,
    /** Every layer that an adapter may change. */
    readonly adaptableLayers: readonly AdaptableLayer[],
    private readonly tensors: readonly Tensor[],
  ) {}

  /** Reads all weights onto the GPU, as `format` has them. `onTensor` is called after each of about 680 tensors, for progress. */
  static async load(
    reader: WeightReader,
    config: UNetConfig,
    onTensor?: () => void,
    format: WeightFormat = 'f16',
  ): Promise<UNet2DCondition> {
    const loader = new LayerLoader(reader, onTensor, format);
    const { blockOutChannels, layersPerBlock, normGroups: groups, normEpsilon: epsilon, heads } = config;
    const levels = blockOutChannels.length;
    const layer = async (block: string, j: number, attention: boolean, headCount: number): Promise<Layer> => ({
      name: `${block}.${j}`,
      resnet: await ResnetBlock.load(loader, `${block}.resnets.${j}`, groups, epsilon),
      transformer: attention
        ? await SpatialTransformer.load(loader, `${block}.attentions.${j}`, groups, headCount)
        : null,
    });
    const timeLinear1 = await loader.linear(['time_embedding.linear_1']);
    const timeLinear2 = await loader.linear(['time_embedding.linear_2']);
    const convIn = await loader.conv2d('conv_in');
    const downs: Level[] = [];
    for (let i = 0; i < levels; i++) {
      const name = `down_blocks.${i}`;
      const layers: Layer[] = [];
      for (let j = 0; j < layersPerBlock; j++) {
        layers.push(await layer(name, j, defined(config.downAttention[i]), defined(heads[i])));
      }
      const resample = i < levels - 1 ? await loader.conv2d(`${name}.downsamplers.0.conv`) : null;
      downs.push({ name, layers, resample });
    }
    const midHeads = defined(heads[levels - 1]);
    const mid = {
      first: await ResnetBlock.load(loader, 'mid_block.resnets.0', groups, epsilon),
      transformer: await SpatialTransformer.load(loader, 'mid_block.attentions.0', groups, midHeads),
      second: await ResnetBlock.load(loader, 'mid_block.resnets.1', groups, epsilon),
    };
    const ups: Level[] = [];
    for (let i = 0; i < levels; i++) {
      const name = `up_blocks.${i}`;
      const layers: Layer[] = [];
      for (let j = 0; j <= layersPerBlock; j++) {
        layers.push(await layer(name, j, defined(config.upAttention[i]), defined(heads[levels - 1 - i])));
      }
      const resample = i < levels - 1 ? await loader.conv2d(`${name}.upsamplers.0.conv`) : null;
      ups.push({ name, layers, resample });
    }
    const normOut = await loader.groupNorm('conv_norm_out', groups, epsilon);
    const convOut = await loader.conv2d('conv_out');
    return new UNet2DCondition(
      config,
      timeLinear1,
      timeLinear2,
      convIn,
      downs,
      mid,
      ups,
      normOut,
      convOut,
      loader.takeLayers(),
      loader.takeTensors(),
    );
  }

  /** Frees all weights. */
  dispose(): void {
    for (const t of this.tensors) t.dispose();
  }

  /**
   * SiLU of the time embedding, [N, 4 * C0]: what every resnet projects. Timesteps may be fractional. The sinusoids are
   * computed on the CPU in double precision: GPUs' sin and cos lose digits at large arguments.
   */
  embedTime(timesteps: readonly number[]): Tensor {
    const width = defined(this.config.blockOutChannels[0]);
    const projected = sinusoids(timesteps, width, this.config);
    return tidy(() => {
      const input = tensor(projected, [timesteps.length, width]);
      this.tap?.('time_proj', input);
      const embedding = this.timeLinear2.forward(silu(this.timeLinear1.forward(input)));
      this.tap?.('time_embedding', embedding);
      return silu(embedding);
    });
  }

  /** The network over the values `sample` [N, H, W, in], `time` (from {@link embedTime}) and `context` [N, T, D]; writes `out`. */
  segments(): Segment[] {
    const tap = (name: string, value: Tensor): void => this.tap?.(name, value);
    const segments: Segment[] = [];
    const skips: string[] = [];
    let skip = 0;
    const push = (
      name: string,
      reads: readonly string[],
      write: string,
      layers: readonly AdaptableLayer[],
      run: (inputs: readonly Tensor[]) => Tensor,
    ): void => {
      const parameters = (): Tensor[] => trainableTensors(layers);
      segments.push({ name, reads, writes: [write], parameters, run: (inputs) => [run(inputs)] });
    };
    const writeSkip = (): string => {
      skips.push(`h${skip}`);
      return `h${skip++}`;
    };

    push('conv_in', ['sample'], writeSkip(), [this.convIn], ([sample]) => {
      const h = this.convIn.forward(sample!);
      tap('conv_in', h);
      return h;
    });
    let current = 'h0';
    for (const level of this.downs) {
      for (const [j, { resnet, transformer }] of level.layers.entries()) {
        const isEnd = j === level.layers.length - 1 && !level.resample;
        const from = current;
        current = writeSkip();
        const layers = [...resnet.layers(), ...(transformer?.layers() ?? [])];
        push(`${level.name}.${j}`, [from, 'time', 'context'], current, layers, ([x, time, context]) => {
          let h = resnet.forward(x!, time);
          tap(`${level.name}.resnets.${j}`, h);
          if (transformer) h = transformer.forward(h, context!, this.extras);
          if (isEnd) tap(level.name, h);
          return h;
        });
      }
      const { resample } = level;
      if (resample) {
        const from = current;
        current = writeSkip();
        push(`${level.name}.downsample`, [from], current, [resample], ([x]) => {
          const h = resample.forward(x!, { stride: 2 });
          tap(level.name, h);
          return h;
        });
      }
    }
    const { first: midFirst, transformer: midTransformer, second: midSecond } = this.mid;
    const midLayers = [...midFirst.layers(), ...midTransformer.layers(), ...midSecond.layers()];
    push('mid_block', [current, 'time', 'context'], 'm', midLayers, ([x, time, context]) => {
      const first = midFirst.forward(x!, time);
      tap('mid_block.resnets.0', first);
      const h = midSecond.forward(midTransformer.forward(first, context!, this.extras), time);
      tap('mid_block', h);
      return h;
    });
    current = 'm';
    let up = 0;
    for (const level of this.ups) {
      for (const [j, { resnet, transformer }] of level.layers.entries()) {
        const from = current;
        current = `u${up++}`;
        const isEnd = j === level.layers.length - 1;
        const upsample = isEnd ? level.resample : null;
        const skipName = defined(skips.pop(), 'skip');
        // Halving rounds up, so doubling may give a row or column too many: the next skip says how many are wanted.
        const target = upsample ? [defined(skips.at(-1), 'skip')] : [];
        push(
          `${level.name}.${j}`,
          [from, skipName, 'time', 'context', ...target],
          current,
          [...resnet.layers(), ...(transformer?.layers() ?? []), ...(upsample ? [upsample] : [])],
          ([x, skipped, time, context, wanted]) => {
            let h = tidy(() => resnet.forward(concatChannels(x!, skipped!), time));
            if (transformer) h = transformer.forward(h, context!, this.extras);
            if (upsample) h = upsample.forward(cropTo(upsampleNearest2x(h), wanted!.shape));
            if (isEnd) tap(level.name, h);
            return h;
          },
        );
      }
    }
    push('conv_out', [current], 'out', [this.convOut], ([x]) => {
      const h = this.normOut.forward(x!, { silu: true });
      if (this.tap) this.tap('conv_norm_out', this.normOut.forward(x!));
      return this.convOut.forward(h);
    });
    return segments;
  }

  private get extras(): Extras {
    const { tap, crossAttention: cache } = this;
    return { tap, crossAttention: cache };
  }

  /**
   * Predicts [N, H, W, out] for noisy latents [N, H, W, in], one timestep each, under context [N, T, D]. With a cache, which must be of
   * this context, keys and values are computed once; not for training.
   */
  forward(sample: Tensor, timesteps: readonly number[], context: Tensor, cache?: CrossAttentionCache): Tensor {
    invariant(sample.shape[0] === timesteps.length, 'One timestep a sample', { shape: sample.shape, timesteps });
    const time = this.embedTime(timesteps);
    const values: Values = new Map([
      ['sample', sample],
      ['time', time],
      ['context', context],
    ]);
    this.crossAttention = cache ?? null;
    try {
      return runSegments(this.segments(), values, 'out');
    } finally {
      this.crossAttention = null;
      time.dispose();
    }
  }

  /** How many latents of h x w pixels may be computed at once: the widest activation, that of GEGLU, must fit one binding. */
  maxRows(h: number, w: number): number {
    const bytes = h * w * 8 * defined(this.config.blockOutChannels[0]) * 4;
    return Math.max(1, Math.floor(runtime().device.limits.maxStorageBufferBindingSize / bytes));
  }
}

/** [sin | cos] (or [cos | sin] if flipped) of t * exp(-ln(10000) * i / (half - shift)): diffusers' get_timestep_embedding. */
function sinusoids(timesteps: readonly number[], width: number, config: UNetConfig): Float32Array {
  const half = Math.floor(width / 2);
  const out = new Float32Array(timesteps.length * width);
  timesteps.forEach((t, n) => {
    for (let i = 0; i < half; i++) {
      // The frequency is rounded to float32 as torch does: at t near 1000 the difference would show.
      const frequency = Math.fround(Math.exp(Math.fround((-Math.log(10000) * i) / (half - config.freqShift))));
      const angle = Math.fround(t * frequency);
      const sinAt = config.flipSinToCos ? half + i : i;
      const cosAt = config.flipSinToCos ? i : half + i;
      out[n * width + sinAt] = Math.sin(angle);
      out[n * width + cosAt] = Math.cos(angle);
    }
  });
  return out;
}

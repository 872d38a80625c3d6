/**
 * AutoencoderKL (Kingma & Welling 2014; Rombach et al. 2022), driven by config.json. Images are NHWC in [-1, 1]; latents are
 * NHWC and unscaled: whoever stores or denoises them multiplies by `scalingFactor`.
 */
import { defined } from '../core/invariant.ts';
import { readTensor, reshape, selfAttention, tensor, tidy, upsampleNearest2x, type Tensor } from '../gpu/ops.ts';
import { runtime } from '../gpu/runtime.ts';
import type { Conv2d } from '../nn/conv2d.ts';
import type { Linear } from '../nn/linear.ts';
import type { GroupNorm } from '../nn/norms.ts';
import { ResnetBlock } from '../nn/resnetBlock.ts';
import { LayerLoader, type WeightReader } from '../nn/weights.ts';
import { UnsupportedModelError, type ConfigReader } from './config.ts';
import { inTiles, type Plane } from './tiles.ts';

export interface VaeConfig {
  readonly inChannels: number;
  readonly outChannels: number;
  readonly latentChannels: number;
  readonly blockOutChannels: readonly number[];
  readonly layersPerBlock: number;
  readonly normGroups: number;
  readonly scalingFactor: number;
  /** Side of the images it was trained on, in pixels: tiles of this side see as much as it learnt to use. */
  readonly sampleSize: number;
}

/** Reads vae/config.json. Files of the first Hub models carry no `scaling_factor`: it is 0.18215 there. */
export function parseVaeConfig(config: ConfigReader): VaeConfig {
  config.require('_class_name', ['AutoencoderKL']);
  config.require('act_fn', ['silu']);
  config.require('mid_block_add_attention', [true]);
  const blockOutChannels = config.numbers('block_out_channels', [64]);
  for (const [field, supported] of [
    ['down_block_types', 'DownEncoderBlock2D'],
    ['up_block_types', 'UpDecoderBlock2D'],
  ] as const) {
    for (const type of config.strings(field, [])) {
      if (type !== supported) throw new UnsupportedModelError(config.where, `"${field}": "${type}"`);
    }
  }
  return {
    inChannels: config.number('in_channels', 3),
    outChannels: config.number('out_channels', 3),
    latentChannels: config.number('latent_channels', 4),
    blockOutChannels,
    layersPerBlock: config.number('layers_per_block', 1),
    normGroups: config.number('norm_num_groups', 32),
    scalingFactor: config.number('scaling_factor', 0.18215),
    sampleSize: config.number('sample_size', 512),
  };
}

/** Every norm of the VAE uses this epsilon. */
const epsilon = 1e-6;

/** The one-head attention in the middle of encoder and decoder, with its own norm and residual. */
class MidAttention {
  private constructor(
    private readonly norm: GroupNorm,
    private readonly qkv: Linear,
    private readonly out: Linear,
  ) {}

  static async load(loader: LayerLoader, name: string, groups: number): Promise<MidAttention> {
    // The Hub's older files say query, key, value, proj_attn.
    const old = loader.reader.has(`${name}.query.weight`);
    const names = old ? ['query', 'key', 'value'] : ['to_q', 'to_k', 'to_v'];
    return new MidAttention(
      await loader.groupNorm(`${name}.group_norm`, groups, epsilon),
      await loader.linear(names.map((part) => `${name}.${part}`)),
      await loader.linear([old ? `${name}.proj_attn` : `${name}.to_out.0`]),
    );
  }

  forward(x: Tensor): Tensor {
    const [n, h, w, c] = x.shape as [number, number, number, number];
    const tokens = reshape(this.norm.forward(x), [n, h * w, c]);
    const attended = selfAttention(this.qkv.forward(tokens), { heads: 1 });
    return reshape(this.out.forward(attended, reshape(x, [n, h * w, c])), [n, h, w, c]);
  }
}

interface Mid {
  readonly first: ResnetBlock;
  readonly attention: MidAttention;
  readonly second: ResnetBlock;
}

async function loadMid(loader: LayerLoader, name: string, groups: number): Promise<Mid> {
  return {
    first: await ResnetBlock.load(loader, `${name}.resnets.0`, groups, epsilon),
    attention: await MidAttention.load(loader, `${name}.attentions.0`, groups),
    second: await ResnetBlock.load(loader, `${name}.resnets.1`, groups, epsilon),
  };
}

function runMid(mid: Mid, x: Tensor, tapAttention?: (value: Tensor) => void): Tensor {
  const attended = mid.attention.forward(mid.first.forward(x));
  tapAttention?.(attended);
  return mid.second.forward(attended);
}

interface Level {
  readonly resnets: readonly ResnetBlock[];
  readonly resample: Conv2d | null;
}

async function loadLevels(
  loader: LayerLoader,
  prefix: string,
  sampler: string,
  { blockOutChannels, normGroups }: VaeConfig,
  resnetsPerLevel: number,
): Promise<Level[]> {
  const levels: Level[] = [];
  for (let i = 0; i < blockOutChannels.length; i++) {
    const resnets: ResnetBlock[] = [];
    for (let j = 0; j < resnetsPerLevel; j++) {
      resnets.push(await ResnetBlock.load(loader, `${prefix}.${i}.resnets.${j}`, normGroups, epsilon));
    }
    const isLast = i === blockOutChannels.length - 1;
    levels.push({ resnets, resample: isLast ? null : await loader.conv2d(`${prefix}.${i}.${sampler}.0.conv`) });
  }
  return levels;
}

/** Which halves to load: training needs the encoder only, sampling the decoder only. */
export interface VaeParts {
  readonly encoder: boolean;
  readonly decoder: boolean;
}

interface Encoder {
  readonly convIn: Conv2d;
  readonly levels: readonly Level[];
  readonly mid: Mid;
  readonly normOut: GroupNorm;
  readonly convOut: Conv2d;
  readonly quantConv: Linear;
}

interface Decoder {
  readonly postQuantConv: Linear;
  readonly convIn: Conv2d;
  readonly mid: Mid;
  readonly levels: readonly Level[];
  readonly normOut: GroupNorm;
  readonly convOut: Conv2d;
}

/** Mean and log-variance of the latents' distribution, [N, h, w, latentChannels] each, logvar clamped to [-30, 20]. */
export interface LatentMoments {
  readonly mean: Float32Array<ArrayBuffer>;
  readonly logvar: Float32Array<ArrayBuffer>;
  readonly shape: readonly [n: number, h: number, w: number, c: number];
}

/** `tiled`: in tiles of the size that the VAE was trained on, although the whole may fit. */
export interface TileOptions {
  readonly tiled?: boolean;
}

export class AutoencoderKL {
  /** Set by the oracle only: called with intermediate values under diffusers' module names. The tensor is only lent. */
  tap: ((name: string, value: Tensor) => void) | undefined;

  private constructor(
    readonly config: VaeConfig,
    private readonly encoder: Encoder | null,
    private readonly decoder: Decoder | null,
    private readonly tensors: readonly Tensor[],
  ) {}

  static async load(
    reader: WeightReader,
    config: VaeConfig,
    parts: VaeParts,
    onTensor?: () => void,
  ): Promise<AutoencoderKL> {
    const loader = new LayerLoader(reader, onTensor);
    const { normGroups: groups, layersPerBlock } = config;
    const encoder = parts.encoder
      ? {
          convIn: await loader.conv2d('encoder.conv_in'),
          levels: await loadLevels(loader, 'encoder.down_blocks', 'downsamplers', config, layersPerBlock),
          mid: await loadMid(loader, 'encoder.mid_block', groups),
          normOut: await loader.groupNorm('encoder.conv_norm_out', groups, epsilon),
          convOut: await loader.conv2d('encoder.conv_out'),
          quantConv: await loader.linear(['quant_conv']),
        }
      : null;
    const decoder = parts.decoder
      ? {
          postQuantConv: await loader.linear(['post_quant_conv']),
          convIn: await loader.conv2d('decoder.conv_in'),
          mid: await loadMid(loader, 'decoder.mid_block', groups),
          levels: await loadLevels(loader, 'decoder.up_blocks', 'upsamplers', config, layersPerBlock + 1),
          normOut: await loader.groupNorm('decoder.conv_norm_out', groups, epsilon),
          convOut: await loader.conv2d('decoder.conv_out'),
        }
      : null;
    return new AutoencoderKL(config, encoder, decoder, loader.takeTensors());
  }

  dispose(): void {
    for (const t of this.tensors) t.dispose();
  }

  /** Image pixels to a latent pixel, along each side. */
  get factor(): number {
    return 2 ** (this.config.blockOutChannels.length - 1);
  }

  /** Encodes images [n, H, W, inChannels] in [-1, 1]; H and W must be multiples of {@link factor}. In tiles if need be. */
  async encode(
    images: Float32Array,
    [n, height, width]: readonly [number, number, number],
    { tiled = false }: TileOptions = {},
  ): Promise<LatentMoments> {
    const { latentChannels, inChannels } = this.config;
    const plane: Plane = { data: images, n, height, width, channels: inChannels };
    const result = await inTiles(plane, this.tileSide(tiled), 1 / this.factor, 2 * latentChannels, (tile) =>
      this.onGpu(tile, (x) => this.encodeTile(x)),
    );
    const count = result.data.length / 2;
    const mean = new Float32Array(count);
    const logvar = new Float32Array(count);
    for (let i = 0; i < count; i++) {
      const at = Math.floor(i / latentChannels) * 2 * latentChannels + (i % latentChannels);
      mean[i] = result.data[at]!;
      logvar[i] = Math.min(20, Math.max(-30, result.data[at + latentChannels]!));
    }
    return { mean, logvar, shape: [n, result.height, result.width, latentChannels] };
  }

  /** Decodes unscaled latents [n, h, w, latentChannels] to images [n, h * factor, w * factor, outChannels], about [-1, 1]. */
  async decode(
    latents: Float32Array,
    [n, height, width]: readonly [number, number, number],
    { tiled = false }: TileOptions = {},
  ): Promise<Float32Array> {
    const { latentChannels, outChannels } = this.config;
    const plane: Plane = { data: latents, n, height, width, channels: latentChannels };
    const side = Math.max(1, Math.floor(this.tileSide(tiled) / this.factor));
    const result = await inTiles(plane, side, this.factor, outChannels, (tile) =>
      this.onGpu(tile, (x) => this.decodeTile(x)),
    );
    return result.data;
  }

  /**
   * The longest side, in image pixels, of a square whose largest activation still fits one binding: the widest tensor at full
   * size has as many channels as the second level. A multiple of 64.
   */
  private tileSide(tiled: boolean): number {
    const [first = 0, second = first] = this.config.blockOutChannels;
    const bytesPerPixel = Math.max(first, second) * 4;
    const pixels = runtime().device.limits.maxStorageBufferBindingSize / bytesPerPixel;
    const fitting = Math.max(64, Math.floor(Math.sqrt(pixels) / 64) * 64);
    return tiled ? Math.min(fitting, this.config.sampleSize) : fitting;
  }

  private async onGpu(tile: Plane, f: (x: Tensor) => Tensor): Promise<Float32Array> {
    const x = tensor(tile.data, [tile.n, tile.height, tile.width, tile.channels]);
    const y = tidy(() => f(x));
    x.dispose();
    const values = await readTensor(y);
    y.dispose();
    return values;
  }

  private encodeTile(x: Tensor): Tensor {
    const encoder = defined(this.encoder, 'the VAE encoder');
    let h = encoder.convIn.forward(x);
    for (const level of encoder.levels) {
      for (const resnet of level.resnets) h = resnet.forward(h);
      // diffusers pads right and bottom only here.
      if (level.resample) h = level.resample.forward(h, { stride: 2, padding: [0, 0, 1, 1] });
    }
    h = runMid(encoder.mid, h);
    return encoder.quantConv.forward(encoder.convOut.forward(encoder.normOut.forward(h, { silu: true })));
  }

  private decodeTile(z: Tensor): Tensor {
    const decoder = defined(this.decoder, 'the VAE decoder');
    const unquantised = decoder.postQuantConv.forward(z);
    this.tap?.('post_quant_conv', unquantised);
    const first = decoder.convIn.forward(unquantised);
    this.tap?.('decoder.conv_in', first);
    let h = runMid(decoder.mid, first, this.tap && ((value) => this.tap?.('decoder.mid_block.attentions.0', value)));
    this.tap?.('decoder.mid_block', h);
    for (const [i, level] of decoder.levels.entries()) {
      for (const resnet of level.resnets) h = resnet.forward(h);
      if (level.resample) h = level.resample.forward(upsampleNearest2x(h));
      this.tap?.(`decoder.up_blocks.${i}`, h);
    }
    return decoder.convOut.forward(decoder.normOut.forward(h, { silu: true }));
  }
}

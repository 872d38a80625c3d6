/**
 * AutoencoderKL (Kingma & Welling 2014; Rombach et al. 2022), driven by config.json. Images are NHWC in [-1, 1]; latents are
 * NHWC and unscaled: whoever stores or denoises them multiplies by `scalingFactor`. Pictures whose activations are large go through in
 * bands of rows (nn/bands.ts), with the same numbers.
 */
import { defined } from '../core/invariant.ts';
import {
  concatRows,
  readTensor,
  reshape,
  selfAttention,
  sliceRows,
  tensor,
  tidy,
  trimMemory,
  upsampleNearest2x,
  type Tensor,
} from '../gpu/ops.ts';
import { runtime } from '../gpu/runtime.ts';
import { convolveBands, cutBands, joinBands, mapBands, normAndConvolve, type Bands } from '../nn/bands.ts';
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

/** `tiled`: in overlapping tiles of the size that the VAE was trained on: other numbers than the whole gives, but memory for one tile only. */
export interface TileOptions {
  readonly tiled?: boolean;
}

export class AutoencoderKL {
  /** Set by the oracle only: called with intermediate values under diffusers' module names. The tensor is only lent. */
  tap: ((name: string, value: Tensor) => void) | undefined;
  /** Larger activations are cut into bands of at most so much, of which a few at a time are there beside the picture itself. */
  bandBytes = 16 * 2 ** 20;

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

  /** Encodes images [n, H, W, inChannels] in [-1, 1]; H and W must be multiples of {@link factor}. */
  async encode(
    images: Float32Array,
    [n, height, width]: readonly [number, number, number],
    { tiled = false }: TileOptions = {},
  ): Promise<LatentMoments> {
    const { latentChannels, inChannels, sampleSize } = this.config;
    const plane: Plane = { data: images, n, height, width, channels: inChannels };
    const side = tiled ? sampleSize : Infinity;
    const result = await inTiles(plane, side, 1 / this.factor, 2 * latentChannels, (tile) => this.encodeTile(tile));
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
    const { latentChannels, outChannels, sampleSize } = this.config;
    const plane: Plane = { data: latents, n, height, width, channels: latentChannels };
    const side = tiled ? Math.max(1, Math.floor(sampleSize / this.factor)) : Infinity;
    const result = await inTiles(plane, side, this.factor, outChannels, (tile) => this.decodeTile(tile));
    return result.data;
  }

  private async encodeTile({ data, n, height, width, channels }: Plane): Promise<Float32Array> {
    const encoder = defined(this.encoder, 'the VAE encoder');
    const rows = this.latentRows(n, width) * this.factor;
    let bands = convolveBands(cutPicture(data, [n, height, width, channels], rows), encoder.convIn);
    for (const { resnets, resample } of encoder.levels) {
      for (const resnet of resnets) bands = resnet.forwardBands(bands);
      if (resample) bands = halve(bands, resample);
    }
    const whole = joinBands(bands);
    const moments = tidy(() => {
      const h = encoder.normOut.forward(runMid(encoder.mid, whole), { silu: true });
      return encoder.quantConv.forward(encoder.convOut.forward(h));
    });
    whole.dispose();
    const values = await readTensor(moments);
    moments.dispose();
    // What the pool keeps has sizes that no other work uses.
    if (bands.length > 1) trimMemory();
    return values;
  }

  private async decodeTile({ data, n, height, width, channels }: Plane): Promise<Float32Array> {
    const decoder = defined(this.decoder, 'the VAE decoder');
    const { factor } = this;
    const rows = this.latentRows(n, width * factor);
    if (rows < height) trimMemory();
    const z = tensor(data, [n, height, width, channels]);
    const first = tidy(() => this.decodeMid(decoder, z));
    z.dispose();
    let bands = cutBands(first, rows);
    for (const [i, { resnets, resample }] of decoder.levels.entries()) {
      for (const resnet of resnets) bands = resnet.forwardBands(bands);
      if (resample) bands = double(bands, resample);
      this.tapBands(`decoder.up_blocks.${i}`, bands);
    }
    bands = normAndConvolve(bands, decoder.normOut, decoder.convOut);
    const picture = await pastePicture(bands, [n, height * factor, width * factor, this.config.outChannels]);
    if (bands.length > 1) trimMemory();
    return picture;
  }

  /**
   * Rows of latents to a band, so that a band of the widest tensor (at full size it has as many channels as the second level),
   * with two rows above and below (as many as doubling makes of a neighbour's one), stays small and fits one binding.
   */
  private latentRows(n: number, imageWidth: number): number {
    const [first = 0, second = first] = this.config.blockOutChannels;
    const bytesPerRow = n * imageWidth * Math.max(first, second) * 4;
    const limit = Math.min(this.bandBytes, runtime().device.limits.maxStorageBufferBindingSize);
    return Math.max(1, Math.floor((limit / bytesPerRow - 4) / this.factor));
  }

  private decodeMid(decoder: Decoder, z: Tensor): Tensor {
    const unquantised = decoder.postQuantConv.forward(z);
    this.tap?.('post_quant_conv', unquantised);
    const first = decoder.convIn.forward(unquantised);
    this.tap?.('decoder.conv_in', first);
    const h = runMid(decoder.mid, first, this.tap && ((value) => this.tap?.('decoder.mid_block.attentions.0', value)));
    this.tap?.('decoder.mid_block', h);
    return h;
  }

  private tapBands(name: string, bands: Bands): void {
    if (this.tap) tidy(() => this.tap?.(name, concatRows(bands)));
  }
}

/** Halves the sides. diffusers pads right and bottom only here. */
function halve(bands: Bands, conv: Conv2d): Bands {
  return mapBands(bands, { top: 0, bottom: 1 }, (rows, { bottom }) =>
    conv.forward(rows, { stride: 2, padding: [0, 0, bottom, 1] }),
  );
}

/** Doubles the sides, then convolves. */
function double(bands: Bands, conv: Conv2d): Bands {
  return mapBands(bands, { top: 1, bottom: 1 }, (rows, { top, bottom }) => {
    // A neighbour's row became two, of which the convolution sees one.
    const doubled = upsampleNearest2x(rows);
    const [above, below] = [1 - top, 1 - bottom];
    const height = doubled.shape[1]! - above - below;
    const seen = height === doubled.shape[1] ? doubled : sliceRows(doubled, above, height);
    return conv.forward(seen, { padding: [top, 1, bottom, 1] });
  });
}

type Shape = readonly [n: number, height: number, width: number, channels: number];

/** Bands of `rows` rows of a picture on the CPU. */
function cutPicture(data: Float32Array, [n, height, width, channels]: Shape, rows: number): Bands {
  const bands: Tensor[] = [];
  for (let y = 0; y < height; y += rows) {
    const own = Math.min(rows, height - y);
    const size = own * width * channels;
    const band = new Float32Array(n * size);
    for (let i = 0; i < n; i++) {
      const from = (i * height + y) * width * channels;
      band.set(data.subarray(from, from + size), i * size);
    }
    bands.push(tensor(band, [n, own, width, channels]));
  }
  return bands;
}

/** The picture of the bands on the CPU. Takes them over. */
async function pastePicture(bands: Bands, [n, height, width, channels]: Shape): Promise<Float32Array> {
  const data = new Float32Array(n * height * width * channels);
  let y = 0;
  for (const band of bands) {
    const own = band.shape[1]!;
    const values = await readTensor(band);
    band.dispose();
    const size = own * width * channels;
    for (let i = 0; i < n; i++) {
      data.set(values.subarray(i * size, (i + 1) * size), (i * height + y) * width * channels);
    }
    y += own;
  }
  return data;
}

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
  silu,
  tensor,
  tidy,
  upsampleNearest2x,
  type Tensor,
  type WeightFormat,
} from '../gpu/ops.ts';
import { runtime } from '../gpu/runtime.ts';
import type { Conv2d } from '../nn/conv2d.ts';
import type { Linear } from '../nn/linear.ts';
import type { GroupNorm } from '../nn/norms.ts';
import { ResnetBlock } from '../nn/resnetBlock.ts';
import { runSegments, runSegmentsFor, segmentsTowards, type Segment, type Values } from '../nn/segments.ts';
import { LayerLoader, trainableTensors, type AdaptableLayer, type WeightReader } from '../nn/weights.ts';
import type { CrossAttentionCache } from './spatialTransformer.ts';
import { SpatialTransformer, type Extras, type Tap } from './spatialTransformer.ts';
import type { UNetConfig } from './unetConfig.ts';

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
    return this.run(sample, timesteps, context, cache, (values) => runSegments(this.segments(), values, 'out'));
  }

  /** As {@link forward}, with what {@link forwardShallow} needs of this call. Both tensors are the caller's to dispose. */
  forwardKeeping(
    sample: Tensor,
    timesteps: readonly number[],
    context: Tensor,
    cache?: CrossAttentionCache,
  ): { readonly output: Tensor; readonly deep: Tensor } {
    return this.run(sample, timesteps, context, cache, (values) => {
      const segments = this.segments();
      const [output, deep] = runSegmentsFor(segments, values, ['out', deepValue(segments)]) as [Tensor, Tensor];
      return { output, deep };
    });
  }

  /**
   * As {@link forward}, but only conv_in, the last layer up and conv_out run: what the layers within would give the last layer, [N, H, W, C0],
   * is taken from an earlier call, whose timestep was near. The cut is DeepCache's first branch (Ma, Fang & Wang 2023).
   */
  forwardShallow(
    sample: Tensor,
    timesteps: readonly number[],
    context: Tensor,
    deep: Tensor,
    cache?: CrossAttentionCache,
  ): Tensor {
    return this.run(sample, timesteps, context, cache, (values) => {
      const segments = this.segments();
      const name = deepValue(segments);
      return runSegments(segmentsTowards(segments, [name], 'out'), new Map([...values, [name, deep]]), 'out');
    });
  }

  private run<T>(
    sample: Tensor,
    timesteps: readonly number[],
    context: Tensor,
    cache: CrossAttentionCache | undefined,
    compute: (values: Values) => T,
  ): T {
    invariant(sample.shape[0] === timesteps.length, 'One timestep a sample', { shape: sample.shape, timesteps });
    const time = this.embedTime(timesteps);
    this.crossAttention = cache ?? null;
    try {
      return compute(
        new Map([
          ['sample', sample],
          ['time', time],
          ['context', context],
        ]),
      );
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

/** What the last layer up, the last but one of the segments, reads of the layers within. */
function deepValue(segments: readonly Segment[]): string {
  return defined(segments.at(-2)?.reads[0], 'the last layer up');
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

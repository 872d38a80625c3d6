/**
 * GroupNorm (Wu & He 2018) with an optional SiLU behind it, in two dispatches each way.
 *
 * x is `[N, ..., C]`, channels last; the pixels of all middle axes are one axis of length P. The first dispatch reduces chunks
 * of pixels, so that many workgroups share the work even where N * groups is small; the second merges the chunks' results
 * (each workgroup those of its own groups) and writes the output. Forward saves mean and scale of each group.
 */
import statisticsShader from '../../../shaders/group_norm_statistics.wgsl?raw';
import forwardShader from '../../../shaders/group_norm.wgsl?raw';
import sumsShader from '../../../shaders/group_norm_backward_sums.wgsl?raw';
import backwardShader from '../../../shaders/group_norm_backward.wgsl?raw';
import {
  accumulating,
  cpuTensor,
  cpuValues,
  defineKernel,
  differentiable,
  dispatch,
  emptyTensor,
  releaseTensor,
  type Tensor,
  type TensorInfo,
} from '../runtime.ts';
import { invariant } from '../../core/invariant.ts';

export interface GroupNormOptions {
  readonly groups: number;
  readonly epsilon: number;
  /** Whether y * sigmoid(y) follows. */
  readonly silu: boolean;
}

const forward = defineKernel<{ x: TensorInfo; gamma: TensorInfo; beta: TensorInfo }, GroupNormOptions>({
  name: 'GroupNorm',
  webgpu: ({ x, gamma, beta }, options) => {
    const s = split(x, options);
    const partial = emptyTensor([s.samples, s.groups, s.chunks, 2]);
    const y = emptyTensor(x.shape);
    const statistics = emptyTensor([s.samples, s.groups, 2]);
    dispatch({
      shader: statisticsShader,
      label: 'group_norm_statistics',
      outputs: [partial],
      inputs: [x],
      uniforms: s.uniforms,
      workgroups: [s.chunks, s.blocks, s.samples],
    });
    dispatch({
      shader: forwardShader,
      label: 'group_norm',
      constants: { SILU: options.silu, GIVEN: false },
      outputs: [y, statistics],
      inputs: [x, gamma, beta, partial],
      uniforms: [...s.uniforms, s.span, { f32: options.epsilon }],
      workgroups: [Math.ceil(s.pixels / s.span), s.blocks, s.samples],
    });
    releaseTensor(partial);
    return [y, statistics];
  },
  cpu: ({ x, gamma, beta }, options) => {
    const { samples, pixels, channels, groups } = sizes(x, options);
    const values = cpuValues(x);
    const weight = cpuValues(gamma);
    const bias = cpuValues(beta);
    const y = new Float32Array(values.length);
    const statistics = new Float32Array(samples * groups * 2);
    for (let index = 0; index < samples * groups; index++) {
      const { at, count } = walk(index, { pixels, channels, groups });
      const mean = average(count, (i) => values[at(i)]!);
      const scale = 1 / Math.sqrt(average(count, (i) => (values[at(i)]! - mean) ** 2) + options.epsilon);
      statistics.set([mean - values[at(0)]!, scale], index * 2);
      for (let i = 0; i < count; i++) {
        const v = (values[at(i)]! - mean) * scale * weight[at(i) % channels]! + bias[at(i) % channels]!;
        y[at(i)] = options.silu ? v / (1 + Math.exp(-v)) : v;
      }
    }
    return [cpuTensor(x.shape, y), cpuTensor([samples, groups, 2], statistics)];
  },
});

const backward = defineKernel<
  {
    x: TensorInfo;
    gamma: TensorInfo;
    beta: TensorInfo;
    statistics: TensorInfo;
    dy: TensorInfo;
    /** What is added to the gradient. */
    addend?: TensorInfo | null;
  },
  GroupNormOptions
>({
  name: 'GroupNormBackward',
  webgpu: ({ x, gamma, beta, statistics, dy, addend = null }, options) => {
    const s = split(x, options);
    const partial = emptyTensor([s.samples, s.groups, s.chunks, 2]);
    const dx = emptyTensor(x.shape);
    const constants = { SILU: options.silu };
    dispatch({
      shader: sumsShader,
      label: 'group_norm_backward_sums',
      constants,
      outputs: [partial],
      inputs: [x, gamma, beta, statistics, dy],
      uniforms: s.uniforms,
      workgroups: [s.chunks, s.blocks, s.samples],
    });
    dispatch({
      shader: backwardShader,
      label: 'group_norm_backward',
      constants: { ...constants, ACCUMULATE: addend !== null },
      outputs: [dx],
      inputs: [x, gamma, beta, statistics, dy, partial, addend],
      uniforms: [...s.uniforms, s.span],
      workgroups: [Math.ceil(s.pixels / s.span), s.blocks, s.samples],
    });
    releaseTensor(partial);
    return [dx];
  },
  cpu: ({ x, gamma, beta, statistics, dy, addend }, options) => {
    const { samples, pixels, channels, groups } = sizes(x, options);
    const values = cpuValues(x);
    const weight = cpuValues(gamma);
    const bias = cpuValues(beta);
    const upstream = cpuValues(dy);
    const saved = cpuValues(statistics);
    const before = addend ? cpuValues(addend) : null;
    const dx = new Float32Array(values.length);
    for (let index = 0; index < samples * groups; index++) {
      const { at, count } = walk(index, { pixels, channels, groups });
      const mean = values[at(0)]! + saved[index * 2]!;
      const scale = saved[index * 2 + 1]!;
      const xhat = (i: number): number => (values[at(i)]! - mean) * scale;
      const g = (i: number): number => {
        const c = at(i) % channels;
        const v = xhat(i) * weight[c]! + bias[c]!;
        const s = 1 / (1 + Math.exp(-v));
        return upstream[at(i)]! * weight[c]! * (options.silu ? s + v * s * (1 - s) : 1);
      };
      const meanG = average(count, g);
      const meanGx = average(count, (i) => g(i) * xhat(i));
      for (let i = 0; i < count; i++) {
        dx[at(i)] = scale * (g(i) - meanG - xhat(i) * meanGx) + (before ? before[at(i)]! : 0);
      }
    }
    return [cpuTensor(x.shape, dx)];
  },
});

/**
 * Normalises x `[N, ..., C]` over all middle axes and the channels of each of `groups` groups (biased variance), times gamma
 * plus beta, both float32 `[C]` and frozen. C must be a multiple of 4 and of `groups`.
 */
export function groupNorm(x: Tensor, gamma: Tensor, beta: Tensor, options: GroupNormOptions): Tensor {
  return differentiable(
    { x },
    (save) => {
      const [y, statistics] = forward({ x, gamma, beta }, options);
      save([x, gamma, beta, statistics!]);
      return y!;
    },
    (dy, [savedX, savedGamma, savedBeta, statistics]) => ({
      x: accumulating(
        (addend) =>
          backward(
            { x: savedX!, gamma: savedGamma!, beta: savedBeta!, statistics: statistics!, dy, addend },
            options,
          )[0]!,
      ),
    }),
  );
}

export interface Sizes {
  readonly samples: number;
  readonly pixels: number;
  readonly channels: number;
  readonly groups: number;
}

export function sizes(x: TensorInfo, { groups }: GroupNormOptions): Sizes {
  const samples = x.shape[0] ?? 0;
  const channels = x.shape.at(-1) ?? 0;
  invariant(
    x.shape.length >= 2 && channels % 4 === 0 && channels % groups === 0,
    'groupNorm: C must be a multiple of 4 and of the groups',
    {
      shape: x.shape,
      groups,
    },
  );
  return { samples, pixels: x.shape.slice(1, -1).reduce((a, b) => a * b, 1), channels, groups };
}

export interface Split extends Sizes {
  /** Pixels per workgroup in the second dispatch. */
  readonly span: number;
  readonly chunks: number;
  /** Blocks of columns: whole groups and whole vec4s. */
  readonly blocks: number;
  readonly uniforms: readonly number[];
}

/** As in the shaders. */
const threadsPerWorkgroup = 128;
const mostColumns = 32;
/** Chunks of a sample: each workgroup of the second dispatch reads all those of its groups. */
const mostChunks = 64;
const pixelsPerThread = 16;

export function split(x: TensorInfo, options: GroupNormOptions): Split {
  const s = sizes(x, options);
  const columns4 = s.channels / 4;
  const perGroup = s.channels / s.groups;
  // The fewest columns that are whole groups and whole vec4s, times as many as still are one block.
  const unit = perGroup % 4 === 0 ? perGroup / 4 : perGroup % 2 === 0 ? perGroup / 2 : perGroup;
  invariant(unit <= threadsPerWorkgroup, 'groupNorm: a group has too many channels for one workgroup', {
    shape: x.shape,
    groups: s.groups,
  });
  const units = columns4 / unit;
  let perBlock = 1;
  for (let n = 2; n * unit <= mostColumns; n++) if (units % n === 0) perBlock = n;
  const columns = perBlock * unit;
  const lanes = Math.floor(threadsPerWorkgroup / columns);
  const chunk = Math.max(Math.ceil(s.pixels / mostChunks), Math.min(lanes * pixelsPerThread, s.pixels));
  const chunks = Math.ceil(s.pixels / chunk);
  return {
    ...s,
    span: Math.max(lanes * pixelsPerThread, Math.ceil(s.pixels / 1024)),
    chunks,
    blocks: columns4 / columns,
    uniforms: [s.pixels, chunk, chunks, columns4, s.groups, columns, lanes, perGroup],
  };
}

/** The `count` values of one group of one sample: `at(i)` is where the i-th lies. */
export function walk(
  index: number,
  { pixels, channels, groups }: Omit<Sizes, 'samples'>,
): { readonly at: (i: number) => number; readonly count: number } {
  const perGroup = channels / groups;
  const first = Math.floor(index / groups) * pixels * channels + (index % groups) * perGroup;
  return { at: (i) => first + Math.floor(i / perGroup) * channels + (i % perGroup), count: pixels * perGroup };
}

export function average(count: number, f: (i: number) => number): number {
  let sum = 0;
  for (let i = 0; i < count; i++) sum += f(i);
  return sum / count;
}

/**
 * GroupNorm over pictures that lie on the GPU in bands of rows (nn/bands.ts): first the statistics of all bands together, then each
 * band by itself. For inference only.
 */
import accumulateShader from '../../../shaders/group_norm_accumulate.wgsl?raw';
import statisticsShader from '../../../shaders/group_norm_statistics.wgsl?raw';
import forwardShader from '../../../shaders/group_norm.wgsl?raw';
import {
  cpuTensor,
  cpuValues,
  defineKernel,
  dispatch,
  emptyTensor,
  releaseTensor,
  type Tensor,
  type TensorInfo,
} from '../runtime.ts';
import { average, sizes, split, walk, type GroupNormOptions } from './groupNorm.ts';

type Band = {
  readonly x: TensorInfo;
  /** [N, groups, 2] of the bands before: mean, sum of squared deviations. */
  readonly before?: TensorInfo | null;
};

const accumulate = defineKernel<Band, Omit<GroupNormOptions, 'silu'> & { readonly pixelsBefore: number }>({
  name: 'GroupNormAccumulate',
  webgpu: ({ x, before = null }, { groups, epsilon, pixelsBefore }) => {
    const s = split(x, { groups, epsilon, silu: false });
    const partial = emptyTensor([s.samples, groups, s.chunks, 2]);
    const [sums, statistics] = [emptyTensor([s.samples, groups, 2]), emptyTensor([s.samples, groups, 2])];
    dispatch({
      shader: statisticsShader,
      label: 'group_norm_statistics',
      outputs: [partial],
      inputs: [x],
      uniforms: s.uniforms,
      workgroups: [s.chunks, s.blocks, s.samples],
    });
    const [pixels = 0, chunk = 0, chunks = 0, columns4 = 0] = s.uniforms;
    const size = s.samples * groups;
    dispatch({
      shader: accumulateShader,
      label: 'group_norm_accumulate',
      outputs: [sums, statistics],
      inputs: [before, partial, x],
      uniforms: [pixels, chunk, chunks, columns4, groups, s.channels / groups, size, pixelsBefore, { f32: epsilon }],
      workgroups: [Math.ceil(size / 64)],
    });
    releaseTensor(partial);
    return [sums, statistics];
  },
  cpu: ({ x, before }, { groups, epsilon, pixelsBefore }) => {
    const { samples, pixels, channels } = sizes(x, { groups, epsilon, silu: false });
    const values = cpuValues(x);
    const earlier = before ? cpuValues(before) : null;
    const perGroup = channels / groups;
    const [sums, statistics] = [new Float32Array(samples * groups * 2), new Float32Array(samples * groups * 2)];
    for (let index = 0; index < samples * groups; index++) {
      const { at, count } = walk(index, { pixels, channels, groups });
      const own = average(count, (i) => values[at(i)]!);
      const squares = average(count, (i) => (values[at(i)]! - own) ** 2) * count;
      const countBefore = pixelsBefore * perGroup;
      const mean = ((earlier?.[index * 2] ?? 0) * countBefore + own * count) / (countBefore + count);
      const distance = own - (earlier?.[index * 2] ?? own);
      const all =
        (earlier?.[index * 2 + 1] ?? 0) + squares + (distance ** 2 * countBefore * count) / (countBefore + count);
      sums.set([mean, all], index * 2);
      statistics.set([mean, 1 / Math.sqrt(all / (countBefore + count) + epsilon)], index * 2);
    }
    return [cpuTensor([samples, groups, 2], sums), cpuTensor([samples, groups, 2], statistics)];
  },
});

type Given = {
  readonly x: TensorInfo;
  readonly gamma: TensorInfo;
  readonly beta: TensorInfo;
  readonly statistics: TensorInfo;
};

const normalize = defineKernel<Given, GroupNormOptions>({
  name: 'GroupNormGiven',
  webgpu: ({ x, gamma, beta, statistics }, options) => {
    const s = split(x, options);
    const [y, again] = [emptyTensor(x.shape), emptyTensor(statistics.shape)];
    dispatch({
      shader: forwardShader,
      label: 'group_norm',
      constants: { SILU: options.silu, GIVEN: true },
      outputs: [y, again],
      inputs: [x, gamma, beta, statistics],
      uniforms: [...s.uniforms, s.span, { f32: options.epsilon }],
      workgroups: [Math.ceil(s.pixels / s.span), s.blocks, s.samples],
    });
    releaseTensor(again);
    return [y];
  },
  cpu: ({ x, gamma, beta, statistics }, { groups, epsilon, silu }) => {
    const { samples, pixels, channels } = sizes(x, { groups, epsilon, silu });
    const [values, weight, bias, given] = [x, gamma, beta, statistics].map((tensor) => cpuValues(tensor));
    const y = new Float32Array(values!.length);
    for (let index = 0; index < samples * groups; index++) {
      const { at, count } = walk(index, { pixels, channels, groups });
      for (let i = 0; i < count; i++) {
        const c = at(i) % channels;
        const v = (values![at(i)]! - given![index * 2]!) * given![index * 2 + 1]! * weight![c]! + bias![c]!;
        y[at(i)] = silu ? v / (1 + Math.exp(-v)) : v;
      }
    }
    return [cpuTensor(x.shape, y)];
  },
});

/**
 * Mean and scale 1 / sqrt(variance + epsilon) of every group over all `bands` [N, rows, W, C] of one picture: float32 [N, groups, 2].
 * The same as those of the picture in one piece, but for rounding.
 */
export function groupNormStatistics(
  bands: readonly Tensor[],
  options: { readonly groups: number; readonly epsilon: number },
): Tensor {
  let sums: Tensor | null = null;
  let statistics: Tensor | null = null;
  let pixelsBefore = 0;
  for (const x of bands) {
    const [nextSums, nextStatistics]: Tensor[] = accumulate({ x, before: sums }, { ...options, pixelsBefore });
    sums?.dispose();
    statistics?.dispose();
    [sums, statistics] = [nextSums!, nextStatistics!];
    pixelsBefore += sizes(x, { ...options, silu: false }).pixels;
  }
  sums!.dispose();
  return statistics!;
}

/** A band x [N, rows, W, C], normalised by the `statistics` of the whole picture, times gamma plus beta, then SiLU if asked for. */
export function groupNormGiven(
  x: Tensor,
  statistics: Tensor,
  gamma: Tensor,
  beta: Tensor,
  options: GroupNormOptions,
): Tensor {
  return normalize({ x, gamma, beta, statistics }, options)[0]!;
}

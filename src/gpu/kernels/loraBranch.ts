/**
 * The narrow products of a LoRA branch: t = scale * x Aᵀ, the gradient towards x Aᵀ, and those towards A and B. The wide
 * product t Bᵀ, and dt A on the way back, are part of linear's own kernels.
 *
 * A branch over several projections that lie side by side (q | k | v) has a group of columns and of ranks for each:
 * A [groups * rank, inFeatures], B [outFeatures, rank], scale [groups * rank].
 */
import gradientsShader from '../../../shaders/lora_gradients.wgsl?raw';
import sumSlabsShader from '../../../shaders/sum_slabs.wgsl?raw';
import downShader from '../../../shaders/lora_down.wgsl?raw';
import dropoutShader from '../../../shaders/dropout.wgsl?raw';
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
import { dropoutFactors, dropoutUniforms, type DropoutDraw, type LoraDropout } from './dropout.ts';

/** Low-rank branches of the `groups` projections that lie side by side in one layer, outFeatures / groups columns each. */
export interface LoraBranch {
  /** float32 [groups * rank, inFeatures]: lora down. */
  readonly a: Tensor;
  /** float32 [outFeatures, rank]: lora up. */
  readonly b: Tensor;
  /** float32 [groups * rank]: alpha / rank times the adapter's strength; never differentiated. */
  readonly scale: Tensor;
  readonly groups: number;
  /** Set while a training step computes. */
  dropout?: LoraDropout | null;
}

/** Sizes of a branch; `rows` are all the tokens, `sampleRows` those of one example. */
export interface LoraSizes {
  readonly rows: number;
  readonly sampleRows: number;
  readonly inFeatures: number;
  readonly outFeatures: number;
  readonly groups: number;
  readonly rank: number;
}

/** Rows of the smallest chunk that is worth a workgroup, and workgroups beyond which no GPU gets any busier. */
const smallestChunk = 256;
const enoughWorkgroups = 256;

/** Rows of t that one workgroup's gradient adds up, for so many workgroups without chunks. */
export function gradientChunk(rows: number, workgroups: number): number {
  const mostChunks = Math.max(1, Math.floor(enoughWorkgroups / workgroups));
  return Math.ceil(rows / Math.min(mostChunks, Math.ceil(rows / smallestChunk)));
}

/** Ranks / 4 that one workgroup makes. */
export function rankQuads(rank: number): number {
  return Math.ceil(rank / 4) >= 3 ? 4 : Math.ceil(rank / 4);
}

type DownInputs = {
  readonly x: TensorInfo;
  readonly matrix: TensorInfo;
  readonly scale: TensorInfo;
  readonly key?: TensorInfo | null;
};

/** [rows, groups * length] times a matrix a group. Forward, A serves as one group of all ranks. */
interface DownSizes {
  readonly rows: number;
  readonly length: number;
  readonly groups: number;
  readonly rank: number;
  readonly backward: boolean;
  readonly dropout: DropoutDraw | null;
}

const runDown = defineKernel<DownInputs, DownSizes>({
  name: 'LoraDown',
  webgpu: ({ x, matrix, scale, key = null }, { rows, length, groups, rank, backward, dropout }) => {
    const quads = rankQuads(rank);
    const t = emptyTensor([rows, groups * rank]);
    dispatch({
      shader: dropoutShader + downShader,
      label: 'lora_down',
      constants: { BACKWARD: backward, QUADS: quads, DROPOUT: dropout !== null },
      outputs: [t],
      inputs: [x, backward ? null : matrix, backward ? matrix : null, scale, key],
      uniforms: [rows, length / 4, groups, rank, ...dropoutUniforms(dropout)],
      workgroups: [groups * Math.ceil(rank / (4 * quads)), Math.ceil(rows / 16)],
    });
    return [t];
  },
  cpu: ({ x, matrix, scale, key }, { rows, length, groups, rank, backward, dropout }) => {
    const [xs, ms, scales] = [cpuValues(x), cpuValues(matrix), cpuValues(scale)];
    const factors = dropout && key ? dropoutFactors(dropout, cpuValues(key)[0]!, rows, groups * rank) : null;
    const t = new Float32Array(rows * groups * rank);
    for (let row = 0; row < rows; row++) {
      for (let g = 0; g < groups; g++) {
        for (let r = 0; r < rank; r++) {
          let sum = 0;
          for (let k = 0; k < length; k++) {
            const m = backward ? ms[(g * length + k) * rank + r]! : ms[r * length + k]!;
            sum += xs[(row * groups + g) * length + k]! * m;
          }
          const at = (row * groups + g) * rank + r;
          t[at] = scales[g * rank + r]! * sum * (factors?.[at] ?? 1);
        }
      }
    }
    return [cpuTensor([rows, groups * rank], t)];
  },
});

type GradientInputs = {
  readonly dy: TensorInfo;
  readonly t: TensorInfo;
  /** Where the gradient of A is wanted too. */
  readonly x?: TensorInfo | null;
  readonly dt?: TensorInfo | null;
};

/** Gives dB, and after it dA where x and dt are given. */
const runGradients = defineKernel<GradientInputs, LoraSizes>({
  name: 'LoraGradients',
  webgpu: ({ dy, t, x = null, dt = null }, { rows, inFeatures, outFeatures, groups, rank }) => {
    const both = x !== null;
    const tiles = (columns: number, ranks: number): number => Math.ceil(columns / 64) * Math.ceil(ranks / 4);
    const [tilesA, tilesB] = [both ? tiles(inFeatures, groups * rank) : 0, tiles(outFeatures, rank)];
    const chunk = gradientChunk(rows, tilesA + tilesB);
    const chunks = Math.ceil(rows / chunk);
    const [aShape, bShape] = [both ? [groups * rank, inFeatures] : [4], [outFeatures, rank]];
    const make = (slabs: number): [TensorInfo, TensorInfo] => [
      emptyTensor(slabs === 1 ? aShape : [slabs, ...aShape]),
      emptyTensor(slabs === 1 ? bShape : [slabs, ...bShape]),
    ];
    let [a, b] = make(chunks);
    dispatch({
      shader: gradientsShader,
      label: 'lora_gradients',
      constants: { BOTH: both },
      outputs: [a, b],
      inputs: [x, dt, dy, t],
      uniforms: [rows, chunk, inFeatures, outFeatures, groups, rank, tilesA],
      workgroups: [tilesA + tilesB, 1, chunks],
    });
    if (chunks > 1) {
      const slabs = [a, b];
      [a, b] = make(1);
      const [aSize, bSize] = [both ? groups * rank * inFeatures : 0, outFeatures * rank];
      dispatch({
        shader: sumSlabsShader,
        label: 'sum_slabs',
        outputs: [a, b],
        inputs: slabs,
        uniforms: [chunks, aSize, bSize],
        workgroups: [Math.ceil((aSize + bSize) / 64)],
      });
      for (const slab of slabs) releaseTensor(slab);
    }
    if (both) return [b, a];
    releaseTensor(a);
    return [b];
  },
  cpu: ({ dy, t, x, dt }, { rows, inFeatures, outFeatures, groups, rank }) => {
    const ranks = groups * rank;
    const [dys, ts] = [cpuValues(dy), cpuValues(t)];
    const db = new Float32Array(outFeatures * rank);
    for (let i = 0; i < db.length; i++) {
      const column = Math.floor(i / rank);
      const r = Math.floor((column * groups) / outFeatures) * rank + (i % rank);
      let sum = 0;
      for (let row = 0; row < rows; row++) sum += dys[row * outFeatures + column]! * ts[row * ranks + r]!;
      db[i] = sum;
    }
    const result = [cpuTensor([outFeatures, rank], db)];
    if (!x || !dt) return result;
    const [xs, dts] = [cpuValues(x), cpuValues(dt)];
    const da = new Float32Array(ranks * inFeatures);
    for (let i = 0; i < da.length; i++) {
      const [r, column] = [Math.floor(i / inFeatures), i % inFeatures];
      let sum = 0;
      for (let row = 0; row < rows; row++) sum += xs[row * inFeatures + column]! * dts[row * ranks + r]!;
      da[i] = sum;
    }
    return [...result, cpuTensor([ranks, inFeatures], da)];
  },
});

/** How a kernel draws the dropout of a branch. */
export function drawOf(dropout: LoraDropout | null, { sampleRows, rank }: LoraSizes): DropoutDraw | null {
  return dropout ? { ...dropout.chances, salt: dropout.salt, sampleRows, moduleRanks: rank } : null;
}

/** t = scale * x Aᵀ, with dropout where the branch has it: [rows, groups * rank]. */
export function loraDown(x: TensorInfo, { a, scale, dropout = null }: LoraBranch, sizes: LoraSizes): Tensor {
  const { rows, inFeatures, groups, rank } = sizes;
  return runDown(
    { x, matrix: a, scale, key: dropout?.key ?? null },
    {
      rows,
      length: inFeatures,
      groups: 1,
      rank: groups * rank,
      backward: false,
      dropout: drawOf(dropout, sizes),
    },
  )[0]!;
}

/** The gradient towards x Aᵀ: scale * dy B, each group of ranks from its own columns, with the dropout of the forward pass. */
export function loraDownGradient(
  dy: TensorInfo,
  { b, scale, dropout }: { readonly b: TensorInfo; readonly scale: TensorInfo; readonly dropout: LoraDropout | null },
  sizes: LoraSizes,
): Tensor {
  const { rows, outFeatures, groups, rank } = sizes;
  return runDown(
    { x: dy, matrix: b, scale, key: dropout?.key ?? null },
    { rows, length: outFeatures / groups, groups, rank, backward: true, dropout: drawOf(dropout, sizes) },
  )[0]!;
}

/** dB = dyᵀ t by group [outFeatures, rank], and dA = dtᵀ x [groups * rank, inFeatures], in one dispatch or two. */
export function loraGradients(
  {
    dy,
    t,
    x,
    dt,
  }: { readonly dy: TensorInfo; readonly t: TensorInfo; readonly x: TensorInfo; readonly dt: TensorInfo },
  sizes: LoraSizes,
): { readonly a: Tensor; readonly b: Tensor } {
  const [b, a] = runGradients({ dy, t, x, dt }, sizes);
  return { a: a!, b: b! };
}

/** dB alone. */
export function loraGradientB(dy: TensorInfo, t: TensorInfo, sizes: LoraSizes): Tensor {
  return runGradients({ dy, t }, sizes)[0]!;
}

/**
 * Flash attention (Dao 2023, "FlashAttention-2"), forward and backward: memory grows with the tokens, never with their square.
 *
 * Queries, keys and values are read where the projections put them: side by side in the rows of one tensor (self-attention)
 * or of two (cross-attention), head h in columns [h * D, (h + 1) * D) of its part. The gradients are written in the same
 * places, so nothing is ever split, transposed or joined. The same shaders serve both by strides and column offsets.
 */
import forwardShader from '../../../shaders/attention.wgsl?raw';
import rowsShader from '../../../shaders/attention_rows.wgsl?raw';
import rowsBackwardShader from '../../../shaders/attention_rows_backward.wgsl?raw';
import aloneShader from '../../../shaders/rows_alone.wgsl?raw';
import togetherShader from '../../../shaders/rows_together.wgsl?raw';
import deltaShader from '../../../shaders/attention_delta.wgsl?raw';
import queryShader from '../../../shaders/attention_backward_query.wgsl?raw';
import keyValueShader from '../../../shaders/attention_backward_key_value.wgsl?raw';
import {
  cpuTensor,
  cpuValues,
  defineKernel,
  differentiable,
  dispatch,
  emptyTensor,
  runtime,
  type Dispatch,
  type FloatUniform,
  type Tensor,
  type TensorInfo,
} from '../runtime.ts';
import { attentionBackward, attentionForward, type AttentionLayout } from './attentionReference.ts';
import { flatGrid } from './grid.ts';
import { unroll } from './unroll.ts';
import { invariant } from '../../core/invariant.ts';

/** The largest head of which a gradient is offered: beyond it a thread's share of dk and dv would not be worth the registers. */
const mostDepthWithGradient = 160;
const mostDepth = 512;
/** Up to this head size one thread takes a whole row: splitting a few numbers over threads costs more than it saves. */
const mostDepthOfRows = 16;
/**
 * The same on a processor that plays a GPU and has subgroups: there, registers never run short, and reading takes longer than computing, unless
 * the threads of a subgroup read together.
 */
const mostDepthOfRowsTogether = 40;

interface Attrs {
  readonly heads: number;
  readonly causal: boolean;
}

const forward = defineKernel<{ q: TensorInfo; kv: TensorInfo }, Attrs>({
  name: 'Attention',
  webgpu: ({ q, kv }, attrs) => {
    const layout = layoutOf(q, kv, attrs);
    const { samples, lq, heads, depth } = layout;
    const { rows, constants, uniforms } = workSplit(layout, 1);
    const o = emptyTensor([samples, lq, heads * depth]);
    const lse = emptyTensor([samples, heads, lq]);
    if (takesRows(depth)) {
      dispatch({
        ...rowsVariant(rowsShader, { D4: depth / 4 }),
        label: 'attention_rows',
        outputs: [o, lse],
        inputs: [q, kv],
        uniforms: rowUniforms(layout),
        workgroups: [Math.ceil(lq / threadsPerWorkgroup), heads, samples],
        flop: products(layout, 2),
      });
      return [o, lse];
    }
    dispatch({
      shader: unroll(forwardShader, constants),
      label: 'attention',
      constants,
      outputs: [o, lse],
      inputs: [q, kv],
      uniforms,
      workgroups: [Math.ceil(lq / (4 * rows)), heads, samples],
      flop: products(layout, 2),
    });
    return [o, lse];
  },
  cpu: ({ q, kv }, attrs) => {
    const layout = layoutOf(q, kv, attrs);
    const { samples, lq, heads, depth } = layout;
    const { o, lse } = attentionForward(layout, cpuValues(q), cpuValues(kv));
    return [cpuTensor([samples, lq, heads * depth], o), cpuTensor([samples, heads, lq], lse)];
  },
});

const deltaOf = defineKernel<{ o: TensorInfo; dy: TensorInfo }, Pick<Attrs, 'heads'>>({
  name: 'AttentionDelta',
  webgpu: ({ o, dy }, { heads }) => {
    const [samples = 0, lq = 0, channels = 0] = o.shape;
    const delta = emptyTensor([samples, heads, lq]);
    const size = samples * lq * heads;
    dispatch({
      shader: deltaShader,
      label: 'attention_delta',
      outputs: [delta],
      inputs: [o, dy],
      uniforms: [size, lq, heads, channels / heads / 4],
      workgroups: flatGrid(size, 64),
    });
    return [delta];
  },
  cpu: ({ o, dy }, { heads }) => {
    const [samples = 0, lq = 0, channels = 0] = o.shape;
    const depth = channels / heads;
    const [a, b] = [cpuValues(o), cpuValues(dy)];
    const delta = new Float32Array(samples * heads * lq);
    for (let i = 0; i < samples * lq * heads; i++) {
      const query = Math.floor(i / heads);
      let sum = 0;
      for (let d = 0; d < depth; d++) sum += a[i * depth + d]! * b[i * depth + d]!;
      delta[(Math.floor(query / lq) * heads + (i % heads)) * lq + (query % lq)] = sum;
    }
    return [cpuTensor([samples, heads, lq], delta)];
  },
});

/** Which gradients: of q, of kv, or (`packed`) both, in one tensor, where q and kv are one. */
type Wanted = 'query' | 'keyValue' | 'packed';

const backward = defineKernel<
  { q: TensorInfo; kv: TensorInfo; dy: TensorInfo; lse: TensorInfo; delta: TensorInfo },
  Attrs & { readonly wanted: Wanted }
>({
  name: 'AttentionBackward',
  webgpu: ({ q, kv, dy, lse, delta }, { wanted, ...attrs }) => {
    const layout = layoutOf(q, kv, attrs);
    const { samples, lq, lk, heads } = layout;
    const { rows, constants, uniforms } = workSplit(layout, 2);
    const gradient = emptyTensor(wanted === 'keyValue' ? kv.shape : q.shape);
    if (takesRows(layout.depth)) {
      const parts = [...(wanted === 'keyValue' ? [] : ['query']), ...(wanted === 'query' ? [] : ['keyValue'])];
      for (const part of parts) {
        dispatch({
          ...rowsVariant(rowsBackwardShader, { D4: layout.depth / 4, QUERY: part === 'query' }),
          label: 'attention_rows_backward',
          outputs: [gradient],
          inputs: [q, kv, dy, lse, delta],
          uniforms: rowUniforms(layout),
          workgroups: [Math.ceil((part === 'query' ? lq : lk) / threadsPerWorkgroup), heads, samples],
          flop: products(layout, part === 'query' ? 3 : 4),
        });
      }
      return [gradient];
    }
    const together = readsBlocksTogether(rows);
    const reader = together ? togetherShader : aloneShader;
    const common = {
      constants: { ...constants, TOGETHER: together },
      subgroups: together,
      outputs: [gradient],
      inputs: [q, kv, dy, lse, delta],
      uniforms,
    };
    if (wanted !== 'keyValue') {
      dispatch({
        ...common,
        shader: reader + unroll(queryShader, constants),
        label: 'attention_backward_query',
        workgroups: [Math.ceil(lq / (4 * rows)), heads, samples],
        flop: products(layout, 3),
      });
    }
    if (wanted !== 'query') {
      dispatch({
        ...common,
        shader: reader + unroll(keyValueShader, constants),
        label: 'attention_backward_key_value',
        workgroups: [Math.ceil(lk / (4 * rows)), heads, samples],
        flop: products(layout, 4),
      });
    }
    return [gradient];
  },
  cpu: ({ q, kv, dy }, { wanted, ...attrs }) => {
    const layout = layoutOf(q, kv, attrs);
    const [qs, kvs] = [cpuValues(q), cpuValues(kv)];
    const dq = new Float64Array(qs.length);
    const dkv = wanted === 'packed' ? dq : new Float64Array(kvs.length);
    attentionBackward(layout, qs, kvs, cpuValues(dy), dq, dkv);
    return [
      wanted === 'keyValue' ? cpuTensor(kv.shape, Float32Array.from(dkv)) : cpuTensor(q.shape, Float32Array.from(dq)),
    ];
  },
});

/**
 * softmax(q k^T / sqrt(D)) v of each head, for qkv `[N, L, 3C]` = q | k | v; returns `[N, L, C]`. With `causal` token i attends
 * to tokens 0..i only. D = C / heads must be a multiple of 4 and at most 512; a gradient is offered up to 160.
 */
export function selfAttention(qkv: Tensor, options: { readonly heads: number; readonly causal?: boolean }): Tensor {
  const attrs: Attrs = { heads: options.heads, causal: options.causal ?? false };
  return differentiable(
    { qkv },
    (save) => {
      const [o, lse] = forward({ q: qkv, kv: qkv }, attrs);
      save([qkv, o!, lse!]);
      return o!;
    },
    (dy, [saved, o, lse]) => {
      requireGradient(o!, attrs);
      const delta = deltaOf({ o: o!, dy }, attrs)[0]!;
      return {
        qkv: () => backward({ q: saved!, kv: saved!, dy, lse: lse!, delta }, { ...attrs, wanted: 'packed' })[0]!,
      };
    },
  );
}

/**
 * softmax(q k^T / sqrt(D)) v of each head, for q `[N, Lq, C]` and kv `[N, Lk, 2C]` = k | v; returns `[N, Lq, C]`. D = C / heads
 * must be a multiple of 4 and at most 512; a gradient is offered up to 160.
 */
export function crossAttention(q: Tensor, kv: Tensor, options: { readonly heads: number }): Tensor {
  const attrs: Attrs = { heads: options.heads, causal: false };
  return differentiable(
    { q, kv },
    (save) => {
      const [o, lse] = forward({ q, kv }, attrs);
      save([q, kv, o!, lse!]);
      return o!;
    },
    (dy, [savedQ, savedKv, o, lse]) => {
      requireGradient(o!, attrs);
      const inputs = { q: savedQ!, kv: savedKv!, dy, lse: lse!, delta: deltaOf({ o: o!, dy }, attrs)[0]! };
      return {
        q: () => backward(inputs, { ...attrs, wanted: 'query' })[0]!,
        kv: () => backward(inputs, { ...attrs, wanted: 'keyValue' })[0]!,
      };
    },
  );
}

/** Self-attention is told by q and kv being one tensor, three parts wide. */
function layoutOf(q: TensorInfo, kv: TensorInfo, { heads, causal }: Attrs): AttentionLayout {
  const facts = { q: q.shape, kv: kv.shape, heads };
  invariant(q.shape.length === 3 && kv.shape.length === 3, 'attention: inputs must be [N, L, columns]', facts);
  const [samples, lq, qStride] = q.shape as [number, number, number];
  const [kvSamples, lk, kvStride] = kv.shape as [number, number, number];
  const packed = q.dataId === kv.dataId;
  const channels = packed ? qStride / 3 : qStride;
  invariant(
    samples === kvSamples && (packed || kvStride === 2 * channels),
    'attention: the shapes do not fit each other',
    facts,
  );
  const depth = channels / heads;
  invariant(
    Number.isInteger(depth) && depth % 4 === 0 && depth > 0,
    'attention: the head size must be a multiple of 4',
    { ...facts, headSize: depth },
  );
  invariant(depth <= mostDepth, `attention: the head size must be at most ${mostDepth}`, { ...facts, headSize: depth });
  const kOffset = packed ? channels : 0;
  return { samples, lq, lk, heads, depth, qStride, kvStride, kOffset, vOffset: kOffset + channels, causal };
}

/** Floating-point operations of so many products of scores' size with a head's columns. */
function products({ samples, heads, lq, lk, depth }: AttentionLayout, count: number): number {
  return 2 * count * samples * heads * lq * lk * depth;
}

function requireGradient(o: Tensor, { heads }: Attrs): void {
  const headSize = o.shape[2]! / heads;
  invariant(
    headSize <= mostDepthWithGradient,
    `attention: gradients need a head size of at most ${mostDepthWithGradient}`,
    { headSize },
  );
}

/**
 * How many vec4s of a head's columns a thread may hold, of each of q, o, ...: with more, GPUs run out of registers. Not just any
 * number up to 5, as each is a set of pipelines of its own, and compiling them takes longer than a little padding.
 */
const widths = [5, 4] as const;
/** For heads beyond 80, where it lets a software GPU's threads read together: there, registers never run short. */
const widthTogether = 10;
/** As in the shaders. */
const threadsPerWorkgroup = 64;

/** Whether the threads of a subgroup read rows for each other. */
function readsTogether(): boolean {
  const { opened, subgroups } = runtime();
  return opened.isSoftware && subgroups;
}

/**
 * Whether a subgroup's threads can read the blocks of the backward shaders together: all of one slice, a lane for each of a block's 8 rows. Software
 * GPUs number the threads of a subgroup in a row.
 */
function readsBlocksTogether(rows: number): boolean {
  const { subgroupMinSize, subgroupMaxSize } = runtime().opened.adapterInfo;
  return readsTogether() && subgroupMinSize === subgroupMaxSize && subgroupMinSize >= 8 && rows % subgroupMinSize === 0;
}

function takesRows(depth: number): boolean {
  return depth <= (readsTogether() ? mostDepthOfRowsTogether : mostDepthOfRows);
}

/** One of the attention_rows shaders. */
function rowsVariant(
  shader: string,
  constants: { readonly D4: number; readonly QUERY?: boolean },
): Pick<Dispatch, 'shader' | 'constants' | 'subgroups'> {
  const together = 4 * constants.D4 > mostDepthOfRows;
  return {
    shader: (together ? togetherShader : aloneShader) + unroll(shader, { D4: constants.D4 }),
    constants,
    subgroups: together,
  };
}

/** The Params of the attention_rows shaders. */
function rowUniforms(layout: AttentionLayout): (number | FloatUniform)[] {
  const { lq, lk, heads, depth, qStride, kvStride, kOffset, vOffset, causal } = layout;
  return [
    lq,
    lk,
    heads,
    Number(causal),
    qStride / 4,
    kvStride / 4,
    kOffset / 4,
    vOffset / 4,
    { f32: 1 / Math.sqrt(depth) },
  ];
}

/** How a head's columns are split over the threads of a team, and the shaders' Params, strides and offsets in vec4s. */
function workSplit(
  layout: AttentionLayout,
  teams: 1 | 2,
): {
  readonly rows: number;
  readonly constants: { readonly WIDTH: number };
  readonly uniforms: (number | FloatUniform)[];
} {
  const { lq, lk, heads, depth, qStride, kvStride, kOffset, vOffset, causal } = layout;
  const depth4 = depth / 4;
  const padded = (width: number): number => Math.ceil(depth4 / width) * width;
  const rowsOf = (width: number): number => Math.floor(threadsPerWorkgroup / (Math.ceil(depth4 / width) * teams));
  let width: number = padded(widths[0]) <= padded(widths[1]) ? widths[0] : widths[1];
  const mayWiden = teams === 2 && !readsBlocksTogether(rowsOf(width)) && padded(widthTogether) === depth4;
  if (mayWiden && readsBlocksTogether(rowsOf(widthTogether))) width = widthTogether;
  const slices = Math.ceil(depth4 / width);
  const rows = rowsOf(width);
  const scale = { f32: 1 / Math.sqrt(depth) };
  return {
    rows,
    constants: { WIDTH: width },
    uniforms: [
      lq,
      lk,
      heads,
      depth4,
      slices,
      rows,
      Number(causal),
      qStride / 4,
      kvStride / 4,
      kOffset / 4,
      vOffset / 4,
      scale,
    ],
  };
}

/**
 * Frozen weights to float32 and back, so that adapters which are no low-rank branches can be added into a copy. A half keeps 11 bits of a
 * sum; the second half keeps the next 11, and the layer adds up both: what is merged is as exact as float32.
 */
import splitShader from '../../../shaders/split_weights.wgsl?raw';
import unpackShader from '../../../shaders/unpack_weights.wgsl?raw';
import { float16ToFloat32, float32ToFloat16 } from '../../core/float16.ts';
import { cpuTensor, cpuValues, defineKernel, dispatch, emptyTensor, type Tensor, type TensorInfo } from '../runtime.ts';
import { flatGrid } from './grid.ts';
import type { WeightFormat } from '../weightFormat.ts';
import { cpuWeights } from './packed.ts';

/** How a layer's weights lie: `conv` as packConvWeights has them, else [outputs, inputs] row-major. */
export interface WeightLayout {
  readonly outputs: number;
  readonly inputs: number;
  /** Kernel height times width. */
  readonly taps: number;
  readonly conv: boolean;
  /** How the numbers are stored; f16 if not given. What {@link splitWeights} makes is always f16. */
  readonly format?: WeightFormat;
}

/** What the second part of a weight counts. */
export const lowScale = 2 ** -12;

function padded(channels: number): number {
  return Math.ceil(channels / 4) * 4;
}

/** Halves in the packed form, with padding. */
function packedSize({ outputs, inputs, taps, conv }: WeightLayout): number {
  return conv ? taps * padded(inputs) * padded(outputs) : Math.ceil((outputs * inputs) / 2) * 2;
}

function uniformsOf({ outputs, inputs, taps }: WeightLayout): number[] {
  return [outputs, inputs, taps, padded(outputs), padded(inputs)];
}

/** Where the number (output, input, tap) lies in the packed form, for all of them in torch's order. */
function* positions({ outputs, inputs, taps, conv }: WeightLayout): Generator<number> {
  let e = 0;
  for (let o = 0; o < outputs; o++) {
    for (let i = 0; i < inputs; i++) {
      for (let tap = 0; tap < taps; tap++, e++) yield conv ? (tap * padded(inputs) + i) * padded(outputs) + o : e;
    }
  }
}

const runUnpack = defineKernel<{ weight: TensorInfo }, WeightLayout>({
  name: 'UnpackWeights',
  webgpu: ({ weight }, layout) => {
    const { outputs, inputs, taps, conv, format = 'f16' } = layout;
    const size = outputs * inputs * taps;
    const values = emptyTensor([outputs, inputs * taps]);
    dispatch({
      shader: unpackShader,
      label: 'unpack_weights',
      constants: { CONV: conv },
      weights: format,
      outputs: [values],
      inputs: [weight],
      uniforms: [size, ...uniformsOf(layout)],
      workgroups: flatGrid(size, 256),
    });
    return [values];
  },
  cpu: ({ weight }, layout) => {
    const stored = cpuWeights(weight, layout.format ?? 'f16');
    const values = Float32Array.from(positions(layout), (p) => stored[p]!);
    return [cpuTensor([layout.outputs, layout.inputs * layout.taps], values)];
  },
});

const runSplit = defineKernel<{ values: TensorInfo }, WeightLayout>({
  name: 'SplitWeights',
  webgpu: ({ values }, layout) => {
    const words = packedSize(layout) / 2;
    const [high, low] = [emptyTensor([words], 'int32'), emptyTensor([words], 'int32')];
    dispatch({
      shader: splitShader,
      label: 'split_weights',
      constants: { CONV: layout.conv },
      outputs: [high, low],
      inputs: [values],
      uniforms: [words, ...uniformsOf(layout)],
      workgroups: flatGrid(words, 256),
    });
    return [high, low];
  },
  cpu: ({ values }, layout) => {
    const source = cpuValues(values);
    const sums = new Float32Array(packedSize(layout));
    let e = 0;
    for (const p of positions(layout)) sums[p] = source[e++]!;
    const high = float32ToFloat16(sums.map((value) => (Math.abs(value) < 2 ** -14 ? 0 : value)));
    const back = float16ToFloat32(high);
    const low = float32ToFloat16(sums.map((value, i) => (value - back[i]!) / lowScale));
    return [high, low].map((halves) => cpuTensor([halves.length / 2], new Int32Array(halves.buffer)));
  },
});

/** The weights as float32 [outputs, inputs * taps]. */
export function unpackWeights(weight: TensorInfo, layout: WeightLayout): Tensor {
  return runUnpack({ weight }, layout)[0]!;
}

/** Two frozen weights: `values` [outputs, inputs * taps] is high + {@link lowScale} * low. */
export function splitWeights(
  values: TensorInfo,
  layout: WeightLayout,
): { readonly high: Tensor; readonly low: Tensor } {
  const [high, low] = runSplit({ values }, layout);
  return { high: high!, low: low! };
}

/**
 * The façade: all that model code may call. Activations are float32, NHWC `[N, H, W, C]` or tokens `[N, L, C]`; an image is
 * turned into tokens for free. Weights are frozen and f16 (see nn/).
 */
import {
  add as tfAdd,
  concat as tfConcat,
  keep as tfKeep,
  memory,
  mul as tfMul,
  relu as tfRelu,
  reshape as tfReshape,
  slice as tfSlice,
  sub as tfSub,
  tanh as tfTanh,
  tensor as tfTensor,
  tidy as tfTidy,
} from '@tensorflow/tfjs-core';
import type { Tensor } from './runtime.ts';
import { packWeights, type WeightFormat } from './weightFormat.ts';

export type { WeightFormat } from './weightFormat.ts';
export type { Tensor } from './runtime.ts';
export {
  bytesInUse,
  clearValues,
  copyValues,
  finishGpuWork,
  readTensor,
  trimMemory,
  uploadTensor,
  writeTensor,
} from './runtime.ts';
export { linear } from './kernels/linear.ts';
export { concatChannels } from './kernels/concatChannels.ts';
export { conv2d } from './kernels/conv2d.ts';
export { doraNorm, scaleColumns } from './kernels/dora.ts';
export { upsampleNearest2x } from './kernels/upsample.ts';
export { diffusionLoss } from './kernels/diffusionLoss.ts';
export { pageBlock, type ParameterPage, type StepReport } from './kernels/parameterPage.ts';
export { gradientNorm } from './kernels/gradientNorm.ts';
export { averageWeights } from './kernels/averageWeights.ts';
export { adamwStep } from './kernels/adamw.ts';
export { adamw8bitStep, createAdamW8bitState } from './kernels/adamw8bit.ts';
export { adafactorStep, createAdafactorState, type PageMatrix } from './kernels/adafactor.ts';
export { createProdigyState, prodigyStep } from './kernels/prodigy.ts';
export { lionStep } from './kernels/lion.ts';
export { groupNorm } from './kernels/groupNorm.ts';
export { groupNormGiven, groupNormStatistics } from './kernels/groupNormBands.ts';
export { layerNorm } from './kernels/layerNorm.ts';
export { geglu } from './kernels/geglu.ts';
export { quickGelu, silu } from './kernels/swish.ts';
export { lowScale, splitWeights, unpackWeights, type WeightLayout } from './kernels/mergeWeights.ts';
export { crossAttention, selfAttention } from './kernels/attention.ts';

/** A float32 tensor with the given values, on the GPU at its first use. */
export function tensor(values: Float32Array, shape: readonly number[]): Tensor {
  return tfTensor(values, [...shape], 'float32');
}

/** An int32 tensor: a few whole numbers that a kernel reads. */
export function intTensor(values: Int32Array): Tensor {
  return tfTensor(values, [values.length], 'int32');
}

/** Frozen weights, given as halves, as kernels read them: the words of `format`. */
export function frozenTensor(halves: Uint16Array<ArrayBuffer>, format: WeightFormat = 'f16'): Tensor {
  const words = packWeights(halves, format);
  return tfTensor(words, [words.length], 'int32');
}

/** Frees every tensor made inside `f` except those it returns. */
export function tidy<T extends Tensor | Tensor[] | void>(f: () => T): T {
  return tfTidy(f);
}

/** Exempts a tensor from the surrounding tidy: its owner disposes it. */
export function keep(x: Tensor): Tensor {
  return tfKeep(x);
}

/** a + b, equal shapes. */
export function add(a: Tensor, b: Tensor): Tensor {
  return tfAdd(a, b);
}

/** a - b, equal shapes. */
export function subtract(a: Tensor, b: Tensor): Tensor {
  return tfSub(a, b);
}

/** x times a number. */
export function scale(x: Tensor, factor: number): Tensor {
  return tfMul(x, factor);
}

/** max(x, 0) */
export function relu(x: Tensor): Tensor {
  return tfRelu(x);
}

/** magnitude * tanh(x / magnitude): about x where it is small, never beyond +-magnitude. */
export function softClamp(x: Tensor, magnitude: number): Tensor {
  return tfMul(tfTanh(tfMul(x, 1 / magnitude)), magnitude);
}

/** The same values under another shape; free. */
export function reshape(x: Tensor, shape: readonly number[]): Tensor {
  return tfReshape(x, [...shape]);
}

/** Samples `from` .. `from + count` of x [N, H, W, C]. */
export function sliceSamples(x: Tensor, from: number, count: number): Tensor {
  const [, ...rest] = x.shape;
  return tfSlice(x, [from, 0, 0, 0], [count, ...rest]);
}

/** Puts samples [N, H, W, C] of equal size after one another. */
export function concatSamples(xs: readonly Tensor[]): Tensor {
  return tfConcat([...xs], 0);
}

/** Rows `from` .. `from + count` of x [N, H, W, C]. */
export function sliceRows(x: Tensor, from: number, count: number): Tensor {
  const [n = 0, , width = 0, channels = 0] = x.shape;
  return tfSlice(x, [0, from, 0, 0], [n, count, width, channels]);
}

/** Puts pictures [N, H, W, C] of equal width below each other. */
export function concatRows(xs: readonly Tensor[]): Tensor {
  return tfConcat([...xs], 1);
}

/**
 * The first rows and columns of x [N, H, W, C], as many as `shape` [N, h, w, ...] says; free where nothing is cut. After nearest
 * doubling, cutting one row or column equals interpolating to the odd size.
 */
export function cropTo(x: Tensor, shape: readonly number[]): Tensor {
  const [n = 0, height = 0, width = 0, channels = 0] = x.shape;
  const [, h = height, w = width] = shape;
  return h === height && w === width ? x : tfSlice(x, [0, 0, 0, 0], [n, h, w, channels]);
}

/** Tensors alive and their bytes, for leak checks. */
export function tensorCount(): number {
  return memory().numTensors;
}

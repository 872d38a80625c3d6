/** 3x3 convolutions over NHWC: stride 1 and 2, the VAE's and UNet's narrow ends, and the gradient towards the input. */
import { add, conv2d as tfConv2d, conv2dTranspose, pad } from '@tensorflow/tfjs-core';
import { packConvWeights, type ConvWeights } from '../../src/gpu/kernels/conv2d.ts';
import type { Padding } from '../../src/gpu/kernels/convGeometry.ts';
import { conv2d, type Tensor } from '../../src/gpu/ops.ts';
import type { KernelCase } from '../compare.ts';
import { backwardOf, Inputs, type ModelSizes } from './inputs.ts';

type Tensor4 = Parameters<typeof tfConv2d>[1] & Tensor;

const kernelSize = 3;
const same: Padding = [1, 1, 1, 1];

export function conv2dCases({ side, width }: ModelSizes): (() => KernelCase)[] {
  return [
    () => forward(side, width, width, 1),
    () => forward(side / 2, width * 2, width * 2, 1),
    () => forward(side / 4, width * 4, width * 4, 1),
    () => forward(side, width, width, 2),
    () => forward(side, 4, width, 1),
    () => forward(side, width, 4, 1),
    () => towardsInput(side, width, width),
    () => towardsInput(side / 2, width * 2, width * 2),
  ];
}

/** Activations as f32, weights as f16. */
function bytesOf(side: number, outSide: number, inChannels: number, outChannels: number): number {
  return (side ** 2 * inChannels + outSide ** 2 * outChannels) * 4 + inChannels * outChannels * kernelSize ** 2 * 2;
}

export function forward(side: number, inChannels: number, outChannels: number, stride: 1 | 2): KernelCase {
  const inputs = new Inputs();
  const x = inputs.float([1, side, side, inChannels]) as Tensor4;
  const { weights, filter } = convWeights(inputs, inChannels, outChannels);
  const bias = inputs.float([outChannels]);
  return {
    name: `conv 3x3 + bias${stride === 2 ? ', stride 2' : ''}`,
    shape: `${side} x ${side} x ${inChannels} -> ${outChannels}`,
    flop: 2 * (side / stride) ** 2 * inChannels * outChannels * kernelSize ** 2,
    bytes: bytesOf(side, side / stride, inChannels, outChannels),
    ours: () => [conv2d(x, { ...weights, bias }, { stride, padding: same })],
    tfjs: () => [add(stride === 1 ? tfConv2d(x, filter, 1, 'same') : tfConv2d(padded(x), filter, 2, 'valid'), bias)],
    dispose: () => inputs.dispose(),
  };
}

export function towardsInput(side: number, inChannels: number, outChannels: number): KernelCase {
  const inputs = new Inputs();
  const x = inputs.float([1, side, side, inChannels]);
  const dy = inputs.float([1, side, side, outChannels]) as Tensor4;
  const { weights, filter } = convWeights(inputs, inChannels, outChannels);
  const backward = backwardOf(() => conv2d(x, weights, { stride: 1, padding: same }), dy);
  return {
    name: 'conv 3x3 dx',
    shape: `${side} x ${side} x ${outChannels} -> ${inChannels}`,
    flop: 2 * side ** 2 * inChannels * outChannels * kernelSize ** 2,
    bytes: bytesOf(side, side, inChannels, outChannels),
    ours: () => backward.run(),
    tfjs: () => [conv2dTranspose(dy, filter, [1, side, side, inChannels], 1, 'same')],
    dispose: () => {
      backward.dispose();
      inputs.dispose();
    },
  };
}

function convWeights(
  inputs: Inputs,
  inChannels: number,
  outChannels: number,
): { readonly weights: ConvWeights; readonly filter: Tensor4 } {
  const shape = [outChannels, inChannels, kernelSize, kernelSize] as const;
  const { packed, float } = inputs.weights(
    shape,
    (values) => ({
      values: toHwio(values, inChannels, outChannels),
      shape: [kernelSize, kernelSize, inChannels, outChannels],
    }),
    (bits) => packConvWeights(bits, shape),
  );
  return { weights: { weight: packed, bias: null, kernelSize, inChannels, outChannels }, filter: float as Tensor4 };
}

function toHwio(values: Float32Array, inChannels: number, outChannels: number): Float32Array {
  const out = new Float32Array(values.length);
  const taps = kernelSize ** 2;
  for (let o = 0; o < outChannels; o++) {
    for (let i = 0; i < inChannels; i++) {
      for (let t = 0; t < taps; t++)
        out[(t * inChannels + i) * outChannels + o] = values[(o * inChannels + i) * taps + t]!;
    }
  }
  return out;
}

/** tfjs' 'same' pads torch's stride-2 convolutions on the other side, so the pixels are put there first. */
function padded(x: Tensor4): Tensor4 {
  return pad(x, [
    [0, 0],
    [1, 1],
    [1, 1],
    [0, 0],
  ]);
}

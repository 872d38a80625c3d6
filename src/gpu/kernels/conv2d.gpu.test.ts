// Plan: output and all gradients against the CPU reference, for kernels 1 and 3, strides 1 and 2, paddings of every kind, even
// and odd images, channels that do and do not divide by 4 on either side, wide (tiled) and narrow outputs, several images, and
// bias, time embedding and residual; weights as f16 and int8; the packing of weights; the errors for shapes that cannot work.
import { reshape, tensor } from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import { float32ToFloat16 } from '../../core/float16.ts';
import { frozenTensor } from '../ops.ts';
import { checkOp, noise, useTestRuntime } from '../testing.ts';
import type { WeightFormat } from '../weightFormat.ts';
import { conv2d, packConvWeights, type ConvWeights } from './conv2d.ts';
import type { Padding } from './convGeometry.ts';

useTestRuntime();

interface Case {
  readonly shape: [number, number, number, number];
  readonly outChannels: number;
  readonly kernelSize: 1 | 3;
  readonly stride: 1 | 2;
  readonly padding: Padding;
  readonly bias?: boolean;
  readonly time?: boolean;
  readonly residual?: boolean;
  readonly format?: WeightFormat;
}

function makeWeights(
  inChannels: number,
  outChannels: number,
  kernelSize: number,
  bias: boolean,
  format: WeightFormat = 'f16',
): ConvWeights {
  const oihw = float32ToFloat16(noise(outChannels * inChannels * kernelSize ** 2, 5, 0.5));
  const packed = packConvWeights(oihw, [outChannels, inChannels, kernelSize, kernelSize]);
  return {
    weight: frozenTensor(packed, format),
    format,
    bias: bias ? tensor(noise(outChannels, 6)) : null,
    kernelSize,
    inChannels,
    outChannels,
  };
}

async function checkConv(c: Case): Promise<void> {
  const [n, height, width, inChannels] = c.shape;
  const outSize = (size: number, padding: number): number => Math.floor((size + padding - c.kernelSize) / c.stride) + 1;
  const outShape = [
    n,
    outSize(height, c.padding[0] + c.padding[2]),
    outSize(width, c.padding[1] + c.padding[3]),
    c.outChannels,
  ];
  const input = (shape: number[], seed: number): { shape: number[]; values: Float32Array } => ({
    shape,
    values: noise(
      shape.reduce((a, b) => a * b, 1),
      seed,
    ),
  });
  await checkOp({
    inputs: {
      x: input(c.shape, 1),
      ...(c.time ? { time: input([n, c.outChannels], 2) } : {}),
      ...(c.residual ? { residual: input(outShape, 3) } : {}),
    },
    f: ({ x, time, residual }) =>
      conv2d(x!, makeWeights(inChannels, c.outChannels, c.kernelSize, c.bias ?? false, c.format), {
        stride: c.stride,
        padding: c.padding,
        ...(time ? { timeEmbedding: time } : {}),
        ...(residual ? { residual } : {}),
      }),
    atol: 1e-4,
    gradientAtol: 2e-4,
  });
}

describe('conv2d', () => {
  test.each<Case>([
    { shape: [1, 9, 7, 20], outChannels: 68, kernelSize: 3, stride: 1, padding: [1, 1, 1, 1], bias: true },
    {
      shape: [2, 5, 8, 36],
      outChannels: 12,
      kernelSize: 3,
      stride: 1,
      padding: [1, 1, 1, 1],
      bias: true,
      time: true,
      residual: true,
    },
    {
      shape: [1, 3, 3, 72],
      outChannels: 76,
      kernelSize: 1,
      stride: 1,
      padding: [0, 0, 0, 0],
      bias: true,
      residual: true,
    },
    { shape: [2, 8, 8, 16], outChannels: 20, kernelSize: 3, stride: 2, padding: [1, 1, 1, 1], time: true },
    { shape: [1, 8, 6, 12], outChannels: 16, kernelSize: 3, stride: 2, padding: [0, 0, 1, 1], bias: true },
    { shape: [1, 7, 9, 16], outChannels: 24, kernelSize: 3, stride: 2, padding: [0, 0, 1, 1] },
    { shape: [1, 6, 5, 16], outChannels: 12, kernelSize: 3, stride: 1, padding: [2, 0, 0, 1] },
    { shape: [1, 5, 6, 16], outChannels: 12, kernelSize: 1, stride: 2, padding: [0, 0, 0, 0] },
    { shape: [1, 3, 3, 12], outChannels: 12, kernelSize: 3, stride: 1, padding: [0, 0, 0, 0] },
  ])('wide: $shape -> $outChannels, kernel $kernelSize, stride $stride, padding $padding', checkConv);

  test.each<Case>([
    { shape: [1, 5, 6, 36], outChannels: 68, kernelSize: 3, stride: 1, padding: [1, 1, 1, 1], format: 'int8' },
    { shape: [2, 6, 6, 16], outChannels: 20, kernelSize: 3, stride: 2, padding: [1, 1, 1, 1], format: 'int8' },
    { shape: [1, 4, 5, 20], outChannels: 6, kernelSize: 3, stride: 1, padding: [1, 1, 1, 1], format: 'int8' },
  ])('int8 weights: $shape -> $outChannels, stride $stride', checkConv);

  test.each<Case>([
    { shape: [1, 6, 7, 3], outChannels: 16, kernelSize: 3, stride: 1, padding: [1, 1, 1, 1], bias: true },
    { shape: [2, 6, 5, 4], outChannels: 20, kernelSize: 3, stride: 1, padding: [1, 1, 1, 1], bias: true, time: true },
    {
      shape: [2, 6, 5, 20],
      outChannels: 4,
      kernelSize: 3,
      stride: 1,
      padding: [1, 1, 1, 1],
      bias: true,
      residual: true,
    },
    {
      shape: [1, 9, 9, 16],
      outChannels: 3,
      kernelSize: 3,
      stride: 1,
      padding: [1, 1, 1, 1],
      bias: true,
      time: true,
      residual: true,
    },
    { shape: [1, 4, 4, 4], outChannels: 4, kernelSize: 1, stride: 1, padding: [0, 0, 0, 0], bias: true },
    {
      shape: [2, 6, 7, 13],
      outChannels: 18,
      kernelSize: 3,
      stride: 2,
      padding: [0, 0, 1, 1],
      bias: true,
      time: true,
      residual: true,
    },
    { shape: [1, 5, 5, 6], outChannels: 5, kernelSize: 3, stride: 2, padding: [1, 1, 1, 1] },
  ])('narrow or odd: $shape -> $outChannels, kernel $kernelSize, stride $stride, padding $padding', checkConv);

  test('the gradient of the time embedding is summed in stages over many pixels', async () => {
    await checkConv({
      shape: [2, 10, 10, 4],
      outChannels: 12,
      kernelSize: 1,
      stride: 1,
      padding: [0, 0, 0, 0],
      time: true,
    });
  });

  test('packs torch weights as HWIO with padded channels', () => {
    const oihw = Uint16Array.from({ length: 2 * 3 * 9 }, (_, i) => i + 1);
    const packed = packConvWeights(oihw, [2, 3, 3, 3]);
    expect(packed.length).toBe(9 * 4 * 4);
    const at = (ky: number, kx: number, i: number, o: number): number | undefined =>
      packed[((ky * 3 + kx) * 4 + i) * 4 + o];
    expect(at(0, 0, 0, 0)).toBe(1);
    expect(at(2, 1, 1, 1)).toBe((1 * 3 + 1) * 9 + 2 * 3 + 1 + 1);
    expect(at(2, 1, 3, 1)).toBe(0);
    expect(at(2, 1, 1, 2)).toBe(0);
  });

  test('says which shapes cannot work', () => {
    const weights = makeWeights(4, 8, 3, false);
    const x = tensor(new Float32Array(2 * 4 * 4 * 4), [2, 4, 4, 4]);
    const options = { stride: 1, padding: [1, 1, 1, 1] } as const;
    expect(() => conv2d(reshape(x, [2, 4, 8, 2]), weights, options)).toThrow('x must be [N, H, W, inChannels]');
    expect(() => conv2d(reshape(x, [16, 2, 1, 4]), weights, { stride: 1, padding: [0, 0, 0, 0] })).toThrow(
      'smaller than the kernel',
    );
    expect(() => conv2d(x, { ...weights, outChannels: 12 }, options)).toThrow('the weight has another size');
    expect(() => conv2d(x, weights, { ...options, timeEmbedding: tensor(new Float32Array(8), [1, 8]) })).toThrow(
      'time embedding must be',
    );
    expect(() => conv2d(x, weights, { ...options, residual: x })).toThrow(
      'the residual must have the shape of the output',
    );
    expect(() => packConvWeights(new Uint16Array(5), [1, 1, 3, 3])).toThrow('the weights have another size');
  });
});

// Plan: a convolution with a LoRA branch, output and all gradients against the CPU reference: kernels 1 and 3, strides 1 and 2, uneven
// paddings, images whose sides are odd, ranks below, at and beyond what a workgroup makes, narrow outputs, so many pixels that A's gradient is
// summed in stages; bias, time embedding and residual beside it; dropout; the errors for branches that do not fit.
import { tensor } from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import { float32ToFloat16 } from '../../core/float16.ts';
import { frozenTensor } from '../ops.ts';
import { checkOp, noise, useTestRuntime } from '../testing.ts';
import { conv2d, packConvWeights, type ConvWeights } from './conv2d.ts';
import type { Padding } from './convGeometry.ts';
import type { DropoutChances } from './dropout.ts';

useTestRuntime();

interface Case {
  readonly shape: [number, number, number, number];
  readonly outChannels: number;
  readonly rank: number;
  readonly kernelSize?: 1 | 3;
  readonly stride?: 1 | 2;
  readonly padding?: Padding;
  readonly extras?: boolean;
  readonly dropout?: DropoutChances;
}

function weightsOf(inChannels: number, outChannels: number, kernelSize: number, bias: boolean): ConvWeights {
  const oihw = float32ToFloat16(noise(outChannels * inChannels * kernelSize ** 2, 5, 0.5));
  const packed = packConvWeights(oihw, [outChannels, inChannels, kernelSize, kernelSize]);
  return {
    weight: frozenTensor(packed),
    bias: bias ? tensor(noise(outChannels, 6)) : null,
    kernelSize,
    inChannels,
    outChannels,
  };
}

async function checkBranch(c: Case): Promise<void> {
  const { shape, outChannels, rank, kernelSize = 3, stride = 1, padding = [1, 1, 1, 1], extras = false, dropout } = c;
  const [n, height, width, inChannels] = shape;
  const outSize = (size: number, edge: number): number => Math.floor((size + edge - kernelSize) / stride) + 1;
  const outShape = [n, outSize(height, padding[0] + padding[2]), outSize(width, padding[1] + padding[3]), outChannels];
  const input = (dims: number[], seed: number, scale = 1): { shape: number[]; values: Float32Array } => ({
    shape: dims,
    values: noise(
      dims.reduce((a, b) => a * b, 1),
      seed,
      scale,
    ),
  });
  await checkOp({
    inputs: {
      x: input(shape, 1),
      a: input([rank, kernelSize ** 2 * inChannels], 2, 0.3),
      b: input([outChannels, rank], 3, 0.5),
      ...(extras ? { time: input([n, outChannels], 4), residual: input(outShape, 7) } : {}),
    },
    f: ({ x, a, b, time, residual }) =>
      conv2d(x!, weightsOf(inChannels, outChannels, kernelSize, extras), {
        stride,
        padding,
        ...(time ? { timeEmbedding: time } : {}),
        ...(residual ? { residual } : {}),
        lora: {
          a: a!,
          b: b!,
          scale: tensor(Float32Array.from({ length: rank }, (_, r) => 0.5 + ((r * 5) % 7) / 7)),
          groups: 1,
          dropout: dropout ? { chances: dropout, key: tensor([12345], [1], 'int32'), salt: 777 } : null,
        },
      }),
    atol: 2e-4,
    gradientAtol: 1e-3,
  });
}

describe('conv2d with a LoRA branch', () => {
  test.each<Case>([
    { shape: [1, 5, 6, 20], outChannels: 24, rank: 1 },
    { shape: [2, 4, 5, 36], outChannels: 72, rank: 4, extras: true },
    { shape: [1, 3, 4, 4], outChannels: 16, rank: 13 },
    { shape: [1, 4, 4, 16], outChannels: 4, rank: 3, extras: true },
    { shape: [2, 7, 6, 12], outChannels: 20, rank: 5, stride: 2 },
    { shape: [1, 8, 5, 8], outChannels: 12, rank: 2, stride: 2, padding: [0, 0, 1, 1] },
    { shape: [1, 4, 5, 16], outChannels: 12, rank: 20, kernelSize: 1, padding: [0, 0, 0, 0] },
  ])('$shape -> $outChannels, rank $rank', checkBranch);

  test('pixels summed in two stages', async () => {
    await checkBranch({ shape: [1, 31, 18, 4], outChannels: 12, rank: 2 });
  });

  test('dropout drops the same on the way back', async () => {
    await checkBranch({
      shape: [3, 4, 5, 8],
      outChannels: 12,
      rank: 6,
      extras: true,
      dropout: { network: 0.3, rank: 0.4, module: 0.1 },
    });
  });

  test('says which branches do not fit', () => {
    const x = tensor(new Float32Array(64), [1, 4, 4, 4]);
    const branch = { a: tensor(new Float32Array(36), [1, 36]), b: tensor([1, 2, 3, 4], [4, 1]), scale: tensor([1]) };
    const options = { stride: 1, padding: [1, 1, 1, 1] } as const;
    const weights = weightsOf(4, 8, 3, false);
    expect(() => conv2d(x, weights, { ...options, lora: { ...branch, groups: 1 } })).toThrow('does not fit the layer');
    expect(() => conv2d(x, weightsOf(4, 6, 3, false), { ...options, lora: { ...branch, groups: 1 } })).toThrow(
      'must be multiples of 4',
    );
  });
});

// Plan: output and all gradients against the CPU reference, for rows and features below, at and beyond the 64 x 64 tile;
// with and without bias, residual and LoRA; weights as f16 and int8; groups that share a tile; odd, small and large ranks; so many rows that the
// gradients of A and B are summed in two stages; and the errors for shapes that cannot work.
import { tensor } from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import { checkOp, noise, packedWeights, useTestRuntime } from '../testing.ts';
import type { Tensor } from '../runtime.ts';
import type { WeightFormat } from '../weightFormat.ts';
import { linear } from './linear.ts';

useTestRuntime();

interface Case {
  readonly shape: number[];
  readonly outFeatures: number;
  readonly bias?: boolean;
  readonly residual?: boolean;
  readonly lora?: { readonly groups: number; readonly rank: number };
  readonly format?: WeightFormat;
}

async function checkLinear({
  shape,
  outFeatures,
  bias = false,
  residual = false,
  lora,
  format = 'f16',
}: Case): Promise<void> {
  const inFeatures = shape.at(-1)!;
  const outShape = [...shape.slice(0, -1), outFeatures];
  const size = (s: readonly number[]): number => s.reduce((a, b) => a * b, 1);
  const input = (s: number[], seed: number, scale = 1): { shape: number[]; values: Float32Array } => ({
    shape: s,
    values: noise(size(s), seed, scale),
  });
  await checkOp({
    inputs: {
      x: input(shape, 1),
      ...(residual ? { residual: input(outShape, 2) } : {}),
      ...(lora
        ? { a: input([lora.groups * lora.rank, inFeatures], 3, 0.5), b: input([outFeatures, lora.rank], 4, 0.5) }
        : {}),
    },
    f: ({ x, residual: r, a, b }) =>
      linear(
        x!,
        {
          weight: packedWeights(noise(outFeatures * inFeatures, 5, 0.5), format),
          format,
          bias: bias ? tensor(noise(outFeatures, 6)) : null,
          inFeatures,
          outFeatures,
        },
        {
          ...(r ? { residual: r } : {}),
          ...(lora ? { lora: { a: a!, b: b!, scale: scales(lora.groups * lora.rank), groups: lora.groups } } : {}),
        },
      ),
    atol: 1e-4,
    gradientAtol: 2e-3,
  });
}

/** Different for each rank, so that a mixed-up rank or group shows. */
function scales(size: number): Tensor {
  return tensor(Float32Array.from({ length: size }, (_, i) => 0.5 + ((i * 5) % 7) / 7));
}

describe('linear', () => {
  test.each<Case>([
    { shape: [1, 4], outFeatures: 4 },
    { shape: [2, 3, 20], outFeatures: 68, bias: true },
    { shape: [64, 64], outFeatures: 64, residual: true },
    { shape: [1, 130, 36], outFeatures: 132, bias: true, residual: true },
  ])('without LoRA: $shape -> $outFeatures', checkLinear);

  test.each<Case>([
    { shape: [5, 12], outFeatures: 8, lora: { groups: 1, rank: 1 } },
    { shape: [2, 35, 40], outFeatures: 72, bias: true, residual: true, lora: { groups: 1, rank: 4 } },
    { shape: [1, 33, 32], outFeatures: 96, lora: { groups: 3, rank: 3 } },
    { shape: [70, 20], outFeatures: 120, bias: true, lora: { groups: 2, rank: 13 } },
    { shape: [17, 24], outFeatures: 156, residual: true, lora: { groups: 3, rank: 9 } },
    { shape: [19, 16], outFeatures: 28, lora: { groups: 1, rank: 130 } },
  ])('with LoRA: $shape -> $outFeatures, $lora', checkLinear);

  test.each<Case>([
    { shape: [3, 8], outFeatures: 4, format: 'int8' },
    { shape: [2, 35, 36], outFeatures: 132, bias: true, residual: true, format: 'int8' },
    { shape: [70, 96], outFeatures: 120, lora: { groups: 3, rank: 4 }, format: 'int8' },
  ])('with int8 weights: $shape -> $outFeatures, $lora', checkLinear);

  test('rows summed in two stages', async () => {
    await checkLinear({
      shape: [1, 1037, 8],
      outFeatures: 24,
      bias: true,
      residual: true,
      lora: { groups: 3, rank: 2 },
    });
  });

  test('says which shapes cannot work', () => {
    const weights = (inFeatures: number, outFeatures: number): Parameters<typeof linear>[1] => ({
      weight: packedWeights(new Float32Array(inFeatures * outFeatures)),
      bias: null,
      inFeatures,
      outFeatures,
    });
    const x = tensor(new Float32Array(16), [2, 8]);
    expect(() => linear(x, weights(8, 6))).toThrow('feature counts must be multiples of 4');
    expect(() => linear(x, weights(4, 4))).toThrow('the last axis of x must be inFeatures');
    expect(() => linear(x, { ...weights(8, 8), outFeatures: 12 })).toThrow('the weight has another size');
    expect(() => linear(x, weights(8, 4), { residual: x })).toThrow('the residual must have the shape of the output');
    const lora = { a: tensor(new Float32Array(8), [1, 8]), b: tensor(new Float32Array(8), [8, 1]), scale: tensor([1]) };
    expect(() => linear(x, weights(8, 8), { lora: { ...lora, groups: 4 } })).toThrow('the columns of a LoRA group');
    expect(() => linear(x, weights(8, 8), { lora: { ...lora, groups: 2 } })).toThrow(
      'the LoRA branch does not fit the layer',
    );
  });
});

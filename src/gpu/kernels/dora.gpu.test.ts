// Plan: the scaling of columns to magnitudes with bias, time embedding and residual, output and gradients against the CPU reference; the norms of
// W + scale B A against the sum written out, for several groups. Whole layers: nn/dora.gpu.test.ts.
import { tensor } from '@tensorflow/tfjs-core';
import { test } from 'vitest';
import { checkOp, noise, useTestRuntime } from '../testing.ts';
import { doraNorm, scaleColumns } from './dora.ts';
import { linear } from './linear.ts';
import { packedWeights } from '../testing.ts';

useTestRuntime();

test.each([
  { shape: [2, 3, 8], extras: true },
  { shape: [2, 3, 5, 12], extras: false },
])('columns of $shape brought to their magnitudes', async ({ shape, extras }) => {
  const columns = shape.at(-1)!;
  const size = shape.reduce((a, b) => a * b, 1);
  await checkOp({
    inputs: {
      x: { shape, values: noise(size, 1) },
      magnitude: { shape: [columns], values: noise(columns, 2).map((v) => v + 2) },
      ...(extras
        ? {
            time: { shape: [shape[0]!, columns], values: noise(shape[0]! * columns, 3) },
            residual: { shape, values: noise(size, 4) },
          }
        : {}),
    },
    f: ({ x, magnitude, time, residual }) =>
      scaleColumns(
        x!,
        { magnitude: magnitude!, norm: () => tensor(noise(columns, 5).map((v) => v + 3)) },
        { bias: extras ? tensor(noise(columns, 6)) : null, timeEmbedding: time, residual },
      ),
    atol: 1e-5,
    gradientAtol: 1e-4,
  });
});

test.each([
  { groups: 1, rank: 5, columns: 20 },
  { groups: 3, rank: 2, columns: 72 },
])('norms of $columns rows in $groups groups, rank $rank', async ({ groups, rank, columns }) => {
  const inputs = 12;
  await checkOp({
    inputs: {
      a: { shape: [groups * rank, inputs], values: noise(groups * rank * inputs, 1) },
      b: { shape: [columns, rank], values: noise(columns * rank, 2) },
    },
    f: ({ a, b }) => {
      const scale = tensor(Float32Array.from({ length: groups * rank }, (_, i) => 0.5 + i / 10));
      const weights = {
        weight: packedWeights(noise(columns * inputs, 3)),
        bias: null,
        inFeatures: inputs,
        outFeatures: columns,
      };
      const squares = tensor(Float32Array.from({ length: columns }, (_, i) => 60 + i));
      return doraNorm({ a: a!, b: b!, scale, groups }, { vector: squares, squares }, linear(a!, weights));
    },
    atol: 1e-4,
    gradientAtol: null,
  });
});

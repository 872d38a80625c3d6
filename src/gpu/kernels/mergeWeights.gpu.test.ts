// Plan: unpacking gives torch's order back, and splitting gives two parts that make up the value, both as the CPU reference has them; for
// matrices and for convolutions whose channels are no multiple of 4; padding is zero, so that a convolution with it is unharmed.
import { add, mul, tensor } from '@tensorflow/tfjs-core';
import { expect, test } from 'vitest';
import { float16ToFloat32 } from '../../core/float16.ts';
import { frozenTensor } from '../ops.ts';
import { readTensor } from '../runtime.ts';
import { checkOp, noise, packedWeights, useTestRuntime } from '../testing.ts';
import { packConvWeights } from './conv2d.ts';
import { lowScale, splitWeights, unpackWeights, type WeightLayout } from './mergeWeights.ts';

useTestRuntime();

const layouts: [string, WeightLayout][] = [
  ['a matrix', { outputs: 12, inputs: 8, taps: 1, conv: false }],
  ['a convolution', { outputs: 8, inputs: 12, taps: 9, conv: true }],
  ['a convolution with padded channels', { outputs: 6, inputs: 3, taps: 9, conv: true }],
];

test.each(layouts)('%s: split and unpacked again', async (_name, layout) => {
  const { outputs, inputs, taps } = layout;
  const values = noise(outputs * inputs * taps, 3, 0.2);
  await checkOp({
    inputs: { values: { shape: [outputs, inputs * taps], values } },
    f: ({ values: x }) => {
      const { high, low } = splitWeights(x!, layout);
      return add(unpackWeights(high, layout), mul(unpackWeights(low, layout), lowScale));
    },
    atol: 1e-7,
    gradientAtol: null,
  });
  const { high, low } = splitWeights(tensor(values, [outputs, inputs * taps]), layout);
  const sum = await readTensor(unpackWeights(high, layout));
  const rest = await readTensor(unpackWeights(low, layout));
  values.forEach((value, i) => expect(Math.abs(sum[i]! + rest[i]! * lowScale - value)).toBeLessThan(1e-7));
  expect(rest.some((value) => value !== 0)).toBe(true);
});

test('unpacking gives what was packed', async () => {
  const bits = Uint16Array.from({ length: 6 * 3 * 9 }, (_, i) => 0x3000 + i * 7);
  const packed = frozenTensor(packConvWeights(bits, [6, 3, 3, 3]));
  const values = await readTensor(unpackWeights(packed, { outputs: 6, inputs: 3, taps: 9, conv: true }));
  expect(values).toEqual(float16ToFloat32(bits));
  const matrix = noise(32, 5);
  const unpacked = await readTensor(
    unpackWeights(packedWeights(matrix), { outputs: 4, inputs: 8, taps: 1, conv: false }),
  );
  matrix.forEach((value, i) => expect(unpacked[i]).toBeCloseTo(value, 2));
});

test('int8 weights unpack to what the kernels read', async () => {
  const matrix = noise(96, 5);
  const layout = { outputs: 8, inputs: 12, taps: 1, conv: false, format: 'int8' } as const;
  await checkOp({
    inputs: {},
    f: () => unpackWeights(packedWeights(matrix, 'int8'), layout),
    atol: 2e-7,
    gradientAtol: null,
  });
  const unpacked = await readTensor(unpackWeights(packedWeights(matrix, 'int8'), layout));
  matrix.forEach((value, i) => expect(Math.abs(unpacked[i]! - value)).toBeLessThan(1 / 200));
});

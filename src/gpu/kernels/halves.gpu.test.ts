// Plan: there and back against the CPU reference: values of all sizes, beyond the largest half, and so small that halves are subnormal.
import { tensor } from '@tensorflow/tfjs-core';
import { expect, test } from 'vitest';
import { readTensor } from '../runtime.ts';
import { checkOp, noise, useTestRuntime } from '../testing.ts';
import { fromHalves, toHalves } from './halves.ts';

useTestRuntime();

const values = noise(4 * 300, 1).map((v, i) => v * 10 ** ((i % 12) - 4));

test('there and back', async () => {
  const shape = [2, 6, 100];
  await checkOp({
    inputs: { x: { shape, values: values.map((v) => Math.sign(v) * Math.max(Math.abs(v), 2 ** -13)) } },
    f: ({ x }) => fromHalves(toHalves(x!), shape),
    // A driver may round either way; a half has 11 bits.
    atol: 32,
    gradientAtol: null,
  });
});

test('is off by at most a 1024th; what is too large becomes the largest half', async () => {
  const back = await readTensor(fromHalves(toHalves(tensor(values)), [values.length]));
  values.forEach((value, i) => {
    const wanted = Math.max(-65504, Math.min(65504, value));
    expect(Math.abs(back[i]! - wanted)).toBeLessThanOrEqual(Math.max(Math.abs(wanted) / 1024, 2 ** -14));
  });
});

test('sizes that are no multiple of 4 are refused', () => {
  expect(() => toHalves(tensor(noise(6, 1)))).toThrow('toHalves: the size must be a multiple of 4');
});

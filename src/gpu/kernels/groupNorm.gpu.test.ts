// Plan: output and gradient against the CPU reference for 1, 2, 3, 10, 20 and 60 channels a group (groups that share a vec4
// and such that do not), with and without SiLU, several samples, one chunk of pixels and many with a short last one, and a
// small variance around a large mean, where E[x^2] - E[x]^2 would have no correct digit; and x used twice, so that the gradient
// is added to the residual's and to the other norm's.
import { add, tensor, type Tensor } from '@tensorflow/tfjs-core';
import { expect, test } from 'vitest';
import { checkOp, noise, useTestRuntime } from '../testing.ts';
import { groupNorm } from './groupNorm.ts';

useTestRuntime();

interface Case {
  readonly shape: number[];
  readonly groups: number;
  readonly silu: boolean;
  readonly mean?: number;
  readonly deviation?: number;
}

const cases: Case[] = [
  { shape: [1, 3, 3, 32], groups: 32, silu: true },
  { shape: [2, 5, 7, 64], groups: 32, silu: false },
  { shape: [2, 1, 12], groups: 4, silu: true },
  { shape: [1, 1, 1, 320], groups: 32, silu: true },
  { shape: [2, 9, 9, 320], groups: 32, silu: true },
  { shape: [1, 4, 5, 640], groups: 32, silu: true },
  { shape: [1, 3, 3, 1920], groups: 32, silu: false },
  { shape: [1, 61, 67, 16], groups: 4, silu: true },
  { shape: [2, 8, 8, 32], groups: 8, silu: false, mean: 100, deviation: 0.02 },
  { shape: [1, 41, 43, 8], groups: 1, silu: false, mean: -30, deviation: 0.01 },
];
for (const { shape, groups, silu, mean = 0.3, deviation = 2 } of cases) {
  test(`groupNorm: [${shape.join(', ')}] in ${groups} groups, SiLU ${silu}, mean ${mean}, deviation ${deviation}`, async () => {
    const size = shape.reduce((a, b) => a * b);
    const channels = shape.at(-1)!;
    await checkOp({
      inputs: { x: { shape, values: noise(size, 1, deviation).map((v) => v + mean) } },
      f: ({ x }) =>
        groupNorm(x!, tensor(noise(channels, 2)), tensor(noise(channels, 3)), { groups, epsilon: 1e-6, silu }),
      atol: 5e-6,
      gradientAtol: 1e-5 / Math.min(deviation, 1),
      epsilon: 1e-2 * Math.min(deviation, 1),
    });
  });
}

for (const [name, join] of [
  ['x + norm(x)', (x: Tensor, norm: (x: Tensor) => Tensor) => add(x, norm(x))],
  ['norm(x) + norm(x)', (x: Tensor, norm: (x: Tensor) => Tensor) => add(norm(x), norm(x))],
] as const) {
  test(`groupNorm: ${name}`, async () => {
    const shape = [2, 9, 9, 48];
    await checkOp({
      inputs: { x: { shape, values: noise(2 * 81 * 48, 1) } },
      f: ({ x }) =>
        join(x!, (t) =>
          groupNorm(t, tensor(noise(48, 2)), tensor(noise(48, 3)), { groups: 8, epsilon: 1e-6, silu: true }),
        ),
      atol: 5e-6,
      gradientAtol: 1e-5,
    });
  });
}

test('groupNorm: a clear error for channels that do not divide', () => {
  const x = tensor(noise(12, 1), [1, 12]);
  expect(() => groupNorm(x, x, x, { groups: 5, epsilon: 1e-5, silu: false })).toThrow(
    'groupNorm: C must be a multiple of 4 and of the groups',
  );
});

// Plan: output and gradient against the CPU reference for rows shorter and longer than a team of threads, row counts that do
// not fill a workgroup, and a small variance around a large mean, where E[x^2] - E[x]^2 would have no correct digit; and x used twice, so that the
// gradient is added to the residual's and to the other norm's.
import { add, tensor, type Tensor } from '@tensorflow/tfjs-core';
import { test } from 'vitest';
import { checkOp, noise, useTestRuntime } from '../testing.ts';
import { layerNorm } from './layerNorm.ts';

useTestRuntime();

const cases: [shape: number[], offset: number, scale: number, epsilon: number][] = [
  [[2, 3, 8], 0, 2, 1e-5],
  [[1, 7, 48], 0.5, 1, 1e-5],
  [[2, 13, 320], -3, 1, 1e-5],
  [[5, 1284], 0, 4, 1e-6],
  [[3, 64], 100, 0.02, 1e-8],
];
for (const [shape, offset, scale, epsilon] of cases) {
  test(`layerNorm: [${shape.join(', ')}], mean ${offset}, deviation ${scale}`, async () => {
    const size = shape.reduce((a, b) => a * b);
    const columns = shape.at(-1)!;
    await checkOp({
      inputs: { x: { shape, values: noise(size, 1, scale).map((v) => v + offset) } },
      f: ({ x }) => layerNorm(x!, tensor(noise(columns, 2)), tensor(noise(columns, 3)), epsilon),
      atol: 5e-6,
      gradientAtol: 1e-5 / Math.min(scale, 1),
      epsilon: 1e-2 * Math.min(scale, 1),
    });
  });
}

for (const [name, join] of [
  ['x + norm(x)', (x: Tensor, norm: (x: Tensor) => Tensor) => add(x, norm(x))],
  ['norm(x) + norm(x)', (x: Tensor, norm: (x: Tensor) => Tensor) => add(norm(x), norm(x))],
] as const) {
  test(`layerNorm: ${name}`, async () => {
    const shape = [2, 13, 40];
    await checkOp({
      inputs: { x: { shape, values: noise(2 * 13 * 40, 1) } },
      f: ({ x }) => join(x!, (t) => layerNorm(t, tensor(noise(40, 2)), tensor(noise(40, 3)), 1e-5)),
      atol: 5e-6,
      gradientAtol: 1e-5,
    });
  });
}

// Plan: output and gradient against the CPU reference; the reference's normalCdf against tabulated values; the GPU's GELU
// against it over the whole range where it is neither 0 nor the identity, and far beyond.
import { tensor } from '@tensorflow/tfjs-core';
import { expect, test } from 'vitest';
import { readTensor } from '../runtime.ts';
import { checkOp, expectClose, noise, useTestRuntime } from '../testing.ts';
import { geglu, normalCdf } from './geglu.ts';

useTestRuntime();

for (const shape of [
  [2, 3, 8],
  [5, 40],
  [1, 67, 2 * 320],
]) {
  test(`geglu: output and gradient of [${shape.join(', ')}]`, async () => {
    await checkOp({
      inputs: {
        x: {
          shape,
          values: noise(
            shape.reduce((a, b) => a * b),
            1,
            4,
          ),
        },
      },
      f: ({ x }) => geglu(x!),
      atol: 5e-6,
      gradientAtol: 5e-6,
    });
  });
}

test('normalCdf: tabulated values', () => {
  // Python: math.erfc(-x / math.sqrt(2)) / 2
  const table: [number, number][] = [
    [-6, 9.865876450377012e-10],
    [-2, 0.02275013194817922],
    [0, 0.5],
    [1, 0.8413447460685429],
    [2.999999, 0.9986500975365148],
    [3.5, 0.9997673709209645],
  ];
  for (const [x, expected] of table) expect(normalCdf(x) / expected).toBeCloseTo(1, 11);
});

test('geglu: the GELU itself is exact to 5e-7', async () => {
  const count = 4000;
  const b = Float32Array.from({ length: count }, (_, i) => (i - count / 2) * 0.004);
  b.set([-1e4, -50, 50, 1e4]);
  const x = new Float32Array(2 * count).fill(1);
  x.set(b, count);
  const y = await readTensor(geglu(tensor(x, [1, 2 * count])));
  // Relative to the argument where that is above 1: the float32 spacing grows with it.
  const relative = (v: number, i: number): number => v / Math.max(1, Math.abs(b[i]!));
  expectClose(
    y.map(relative),
    Float64Array.from(b, (v, i) => relative(v * normalCdf(v), i)),
    5e-7,
    'gelu',
  );
});

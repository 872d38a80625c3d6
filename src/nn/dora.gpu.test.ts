// Plan: a whole DoRA layer, linear (several projections side by side) and convolution, against PEFT's formula written out in plain numbers,
// with its gradients by central differences at a norm that is held fast: nothing flows back through it; at the start, with B zero, the layer
// is what it was; nothing leaks.
import { memory, tensor } from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import { float16ToFloat32, float32ToFloat16 } from '../core/float16.ts';
import { Conv2d } from './conv2d.ts';
import { Linear } from './linear.ts';
import { vjp } from '../gpu/gradients.ts';
import { frozenTensor, readTensor, type Tensor } from '../gpu/ops.ts';
import { expectClose, noise, packedWeights, useTestRuntime } from '../gpu/testing.ts';
import { packConvWeights } from '../gpu/kernels/conv2d.ts';

useTestRuntime();

/** Numbers that a half holds exactly. */
function halves(size: number, seed: number): Float32Array {
  return float16ToFloat32(float32ToFloat16(noise(size, seed, 0.4)));
}

interface Numbers {
  readonly x: Float32Array;
  readonly a: Float32Array;
  readonly b: Float32Array;
  readonly magnitude: Float32Array;
}

interface Setting {
  readonly name: string;
  readonly groups: number;
  readonly rank: number;
  readonly columns: number;
  readonly inputs: number;
  readonly taps: 1 | 9;
  readonly xShape: readonly number[];
  readonly rows: number;
  /** Row of x, or of what lies around it, that output row `row` sees at `tap`; -1: padding. */
  source(row: number, tap: number): number;
}

const side = 4;
const settings: readonly Setting[] = [
  {
    name: 'linear, three projections side by side',
    groups: 3,
    rank: 3,
    columns: 24,
    inputs: 8,
    taps: 1,
    xShape: [1, 7, 8],
    rows: 7,
    source: (row) => row,
  },
  {
    name: 'convolution',
    groups: 1,
    rank: 2,
    columns: 12,
    inputs: 8,
    taps: 9,
    xShape: [1, side, side, 8],
    rows: side * side,
    source: (row, tap) => {
      const [y, x] = [Math.floor(row / side) + Math.floor(tap / 3) - 1, (row % side) + (tap % 3) - 1];
      return y >= 0 && y < side && x >= 0 && x < side ? y * side + x : -1;
    },
  },
];

const scaleFactor = 0.75;

/** W + scale B A as [columns][taps * inputs], taps before channels. */
function summed(s: Setting, { a, b }: Numbers, weight: Float32Array): Float64Array {
  const length = s.taps * s.inputs;
  const sum = new Float64Array(s.columns * length);
  for (let o = 0; o < s.columns; o++) {
    const group = Math.floor(o / (s.columns / s.groups));
    for (let tap = 0; tap < s.taps; tap++) {
      for (let i = 0; i < s.inputs; i++) {
        let value = weight[(o * s.inputs + i) * s.taps + tap]!;
        for (let r = 0; r < s.rank; r++) {
          value += scaleFactor * b[o * s.rank + r]! * a[(group * s.rank + r) * length + tap * s.inputs + i]!;
        }
        sum[o * length + tap * s.inputs + i] = value;
      }
    }
  }
  return sum;
}

function norms(s: Setting, sum: Float64Array): number[] {
  const length = s.taps * s.inputs;
  return Array.from({ length: s.columns }, (_, o) => Math.hypot(...sum.subarray(o * length, (o + 1) * length)));
}

/** y = magnitude * (W + scale B A) x / norm + bias + residual. */
function expected(s: Setting, n: Numbers, weight: Float32Array, norm: readonly number[]): Float64Array {
  const sum = summed(s, n, weight);
  const length = s.taps * s.inputs;
  const [bias, residual] = [noise(s.columns, 7), noise(s.rows * s.columns, 8)];
  const y = new Float64Array(s.rows * s.columns);
  for (let row = 0; row < s.rows; row++) {
    for (let o = 0; o < s.columns; o++) {
      let value = 0;
      for (let tap = 0; tap < s.taps; tap++) {
        const source = s.source(row, tap);
        if (source < 0) continue;
        for (let i = 0; i < s.inputs; i++) value += sum[o * length + tap * s.inputs + i]! * n.x[source * s.inputs + i]!;
      }
      y[row * s.columns + o] = (n.magnitude[o]! * value) / norm[o]! + bias[o]! + residual[row * s.columns + o]!;
    }
  }
  return y;
}

function makeLayer(s: Setting, weight: Float32Array): Linear | Conv2d {
  const bias = tensor(noise(s.columns, 7));
  if (s.taps === 1) {
    const modules = Array.from({ length: s.groups }, (_, g) => `m${g}`);
    const weights = { weight: packedWeights(weight), bias, inFeatures: s.inputs, outFeatures: s.columns };
    return new Linear(weights, modules);
  }
  const packed = packConvWeights(float32ToFloat16(weight), [s.columns, s.inputs, 3, 3]);
  return new Conv2d(
    {
      weight: frozenTensor(packed),
      bias,
      kernelSize: 3,
      inChannels: s.inputs,
      outChannels: s.columns,
    },
    'm',
  );
}

describe.each(settings)('a DoRA layer: $name', (s) => {
  const weight = halves(s.columns * s.inputs * s.taps, 20);
  const numbers: Numbers = {
    x: noise(s.rows * s.inputs, 21),
    a: noise(s.groups * s.rank * s.inputs * s.taps, 22, 0.5),
    b: noise(s.columns * s.rank, 23, 0.5),
    magnitude: noise(s.columns, 24).map((v) => v + 2),
  };

  test('output and gradients, the norm held fast', async () => {
    const layer = makeLayer(s, weight);
    const squares = tensor(
      Float32Array.from(
        norms(s, summed(s, { ...numbers, b: new Float32Array(numbers.b.length) }, weight)),
        (n) => n ** 2,
      ),
    );
    const [x, residual] = [
      tensor(numbers.x, [...s.xShape]),
      tensor(noise(s.rows * s.columns, 8), [...s.xShape.slice(0, -1), s.columns]),
    ];
    layer.lora = {
      a: tensor(numbers.a, [s.groups * s.rank, s.inputs * s.taps]),
      b: tensor(numbers.b, [s.columns, s.rank]),
      scale: tensor(new Float32Array(s.groups * s.rank).fill(scaleFactor)),
      groups: s.groups,
    };
    layer.magnitude = { vector: tensor(numbers.magnitude), squares };
    const before = memory().numTensors;
    const xs = { x, a: layer.lora.a, b: layer.lora.b, magnitude: layer.magnitude.vector };
    const forward = (): Tensor =>
      layer instanceof Linear ? layer.forward(x, residual) : layer.forward(x, { residual });
    const tape = vjp(() => [forward()], Object.values(xs));
    const norm = norms(s, summed(s, numbers, weight));
    expectClose(await readTensor(tape.outputs[0]!), expected(s, numbers, weight, norm), 1e-4, 'output');
    const dy = noise(s.rows * s.columns, 30);
    const dyTensor = tensor(dy, tape.outputs[0]!.shape);
    const gradients = tape.backward([dyTensor]);
    const loss = (n: Numbers): number => expected(s, n, weight, norm).reduce((sum, y, i) => sum + y * dy[i]!, 0);
    for (const [i, name] of (Object.keys(xs) as (keyof Numbers)[]).entries()) {
      const gradient = await readTensor(gradients[i]!);
      const numeric = Float64Array.from(gradient, (_, at) => {
        const shifted = (by: number): Numbers => ({
          ...numbers,
          [name]: Float32Array.from(numbers[name], (value, j) => (j === at ? value + by : value)),
        });
        // Linear or quadratic in each number: central differences are exact.
        return (loss(shifted(0.25)) - loss(shifted(-0.25))) / 0.5;
      });
      expectClose(gradient, numeric, 2e-4, `gradient of ${name}`);
      gradients[i]!.dispose();
    }
    for (const t of [...tape.outputs, dyTensor]) t.dispose();
    expect(memory().numTensors).toBe(before);
  });

  test('at the start, B zero and magnitudes the norms of the weights, the layer is what it was', async () => {
    const layer = makeLayer(s, weight);
    const own = norms(s, summed(s, { ...numbers, b: new Float32Array(numbers.b.length) }, weight));
    const x = tensor(numbers.x, [...s.xShape]);
    const plain = await readTensor(layer.forward(x));
    layer.lora = {
      a: tensor(numbers.a, [s.groups * s.rank, s.inputs * s.taps]),
      b: tensor(new Float32Array(numbers.b.length), [s.columns, s.rank]),
      scale: tensor(new Float32Array(s.groups * s.rank).fill(scaleFactor)),
      groups: s.groups,
    };
    const squares = Float32Array.from(own, (n) => n ** 2);
    layer.magnitude = { vector: tensor(squares.map(Math.sqrt)), squares: tensor(squares) };
    expectClose(await readTensor(layer.forward(x)), plain, 1e-6, 'output');
  });
});

// Plan: a linear layer of two projections and a convolution with every kind of change, at odd weights and several at once: what the layer gives
// is what its weight plus the CPU's changes gives; biases too; at weight 0 and after unplugging the output is the base's to the bit
// and no tensor is left; a low-rank branch beside a merged change counts once.
import { memory, tensor } from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import { float16ToFloat32, float32ToFloat16 } from '../core/float16.ts';
import { denseChange } from '../formats/lora/products.ts';
import type { Delta, LoraModule, WeightChange } from '../formats/lora/types.ts';
import { packConvWeights } from '../gpu/kernels/conv2d.ts';
import { frozenTensor, readTensor, tidy, type Tensor } from '../gpu/ops.ts';
import { expectClose, noise, packedWeights, useTestRuntime } from '../gpu/testing.ts';
import { Conv2d } from '../nn/conv2d.ts';
import { Linear } from '../nn/linear.ts';
import { PluggedAdapters, type Adapter } from './lora.ts';

useTestRuntime();

const [inputs, outputs, side] = [8, 12, 5];

/** Numbers that a half holds exactly. */
function halves(size: number, seed: number): Float32Array {
  return float16ToFloat32(float32ToFloat16(noise(size, seed, 0.3)));
}

function product(rows: number, columns: number, seed: number): { a: Float32Array; b: Float32Array; rank: number } {
  return { a: noise(rows * 2, seed, 0.5), b: noise(2 * columns, seed + 1, 0.5), rank: 2 };
}

function deltas(columns: number): Delta[] {
  return [
    { kind: 'product', product: product(outputs, columns, 1) },
    { kind: 'hadamard', first: product(outputs, columns, 3), second: product(outputs, columns, 5) },
    { kind: 'kronecker', left: noise(3 * 4, 7), rows: 3, columns: 4, right: noise((outputs / 3) * (columns / 4), 8) },
    { kind: 'full', values: noise(outputs * columns, 9) },
  ];
}

function changesOf(module: string, taps: 1 | 9): WeightChange[] {
  const layer = { module, target: 'unet', inFeatures: inputs, outFeatures: outputs } as const;
  const kernel = taps === 9 ? { kernel: [3, 3] as const } : {};
  const plain = deltas(inputs * taps).map((delta, i): WeightChange => ({
    ...layer,
    ...kernel,
    delta,
    scale: 0.5 + i / 4,
  }));
  return [
    ...plain,
    { ...plain[0]!, magnitude: { axis: 'output', values: noise(outputs, 20).map((v) => v + 2) } },
    { ...plain[1]!, magnitude: { axis: 'input', values: noise(inputs, 21).map((v) => v + 2) } },
    { ...plain[3]!, bias: noise(outputs, 22) },
    { ...layer, ...kernel, delta: null, scale: 1, bias: noise(outputs, 23) },
  ];
}

function adapter(changes: readonly WeightChange[], modules: readonly LoraModule[] = []): Adapter {
  return {
    name: 'test',
    modules: new Map(modules.map((module) => [module.module, module])),
    changes: new Map(changes.map((change) => [change.module, change])),
  };
}

const base = halves(outputs * inputs * 9, 30);

/** base + Σ weight * change, and the sum of the biases. */
function expectedWeight(changes: readonly WeightChange[], weights: readonly number[], own: Float32Array): Float32Array {
  const sums = Float64Array.from(own);
  changes.forEach((change, k) => denseChange(change, own).forEach((value, i) => (sums[i]! += weights[k]! * value)));
  return Float32Array.from(sums);
}

function biasOf(changes: readonly WeightChange[], weights: readonly number[]): Float32Array {
  const bias = new Float32Array(outputs);
  changes.forEach((change, k) => change.bias?.forEach((value, i) => (bias[i]! += weights[k]! * value)));
  return bias;
}

const x = noise(2 * side * side * inputs, 40);

describe('convolutions', () => {
  const make = (): Conv2d =>
    new Conv2d(
      {
        weight: frozenTensor(packConvWeights(float32ToFloat16(base), [outputs, inputs, 3, 3])),
        bias: tensor(new Float32Array(outputs)),
        kernelSize: 3,
        inChannels: inputs,
        outChannels: outputs,
      },
      'conv',
    );
  const forward = async (conv: Conv2d): Promise<Float32Array> => {
    const input = tensor(x, [2, side, side, inputs]);
    const residual = tensor(new Float32Array(2 * 3 * 3 * outputs).fill(0.25), [2, 3, 3, outputs]);
    const y = tidy(() => conv.forward(input, { stride: 2, residual }));
    const values = await readTensor(y);
    for (const t of [input, residual, y]) t.dispose();
    return values;
  };
  const reference = (weight: Float32Array, bias: Float32Array): Float32Array => {
    const y = new Float32Array(2 * 3 * 3 * outputs);
    for (let p = 0; p < y.length; p++) {
      const o = p % outputs;
      const [n, oy, ox] = [Math.floor(p / outputs / 9), Math.floor(p / outputs / 3) % 3, Math.floor(p / outputs) % 3];
      let sum = bias[o]! + 0.25;
      for (let tap = 0; tap < 9; tap++) {
        const [iy, ix] = [oy * 2 - 1 + Math.floor(tap / 3), ox * 2 - 1 + (tap % 3)];
        if (iy < 0 || ix < 0 || iy >= side || ix >= side) continue;
        for (let i = 0; i < inputs; i++)
          sum += x[((n * side + iy) * side + ix) * inputs + i]! * weight[(o * inputs + i) * 9 + tap]!;
      }
      y[p] = sum;
    }
    return y;
  };

  test('every kind, at weight 0.7 and beside another', async () => {
    const conv = make();
    const plain = await forward(conv);
    const all = changesOf('conv', 9);
    for (const [i, change] of all.entries()) {
      const other = all[(i + 1) % all.length]!;
      const before = memory().numTensors;
      const plugged = PluggedAdapters.plug([conv], [adapter([change]), adapter([other])]);
      plugged.setWeights([0.7, -0.3]);
      const weights = [0.7, -0.3];
      const expected = reference(expectedWeight([change, other], weights, base), biasOf([change, other], weights));
      expectClose(await forward(conv), expected, 2e-5, `change ${i}`);
      plugged.setWeights([0, 0]);
      expect(await forward(conv)).toEqual(plain);
      plugged.setWeights([1, 0]);
      plugged.unplug();
      expect(await forward(conv)).toEqual(plain);
      expect(memory().numTensors).toBe(before);
    }
  });

  test('a low-rank pair on a convolution', async () => {
    const conv = make();
    const module: LoraModule = {
      module: 'conv',
      target: 'unet',
      down: noise(2 * inputs * 9, 1),
      up: noise(outputs * 2, 2),
      rank: 2,
      alpha: 1,
      inFeatures: inputs,
      outFeatures: outputs,
      kernel: [3, 3],
    };
    const plugged = PluggedAdapters.plug([conv], [adapter([], [module])]);
    const change: WeightChange = {
      ...changesOf('conv', 9)[0]!,
      delta: { kind: 'product', product: { a: module.up, b: module.down, rank: 2 } },
      scale: 0.5,
    };
    expectClose(await forward(conv), reference(expectedWeight([change], [1], base), new Float32Array(outputs)), 2e-5);
    plugged.unplug();
  });
});

describe('projections side by side', () => {
  const own = base.subarray(0, 2 * outputs * inputs);
  const rows = (2 * side * side * inputs) / inputs;
  const forward = async (linear: Linear): Promise<Float32Array> => {
    const input = tensor(x, [rows, inputs]);
    const y = tidy(() => linear.forward(input));
    const values = await readTensor(y);
    for (const t of [input, y]) t.dispose();
    return values;
  };
  const reference = (weight: Float32Array, bias: Float32Array): Float32Array =>
    Float32Array.from({ length: rows * 2 * outputs }, (_, p) => {
      const [row, o] = [Math.floor(p / (2 * outputs)), p % (2 * outputs)];
      let sum = bias[o]!;
      for (let i = 0; i < inputs; i++) sum += x[row * inputs + i]! * weight[o * inputs + i]!;
      return sum;
    });

  test('every kind on the second, with a low-rank branch on the first', async () => {
    const bias: Tensor | null = null;
    const linear = new Linear({ weight: packedWeights(own), bias, inFeatures: inputs, outFeatures: 2 * outputs }, [
      'k',
      'v',
    ]);
    const plain = await forward(linear);
    const branch: LoraModule = {
      module: 'k',
      target: 'unet',
      down: noise(2 * inputs, 50),
      up: noise(outputs * 2, 51),
      rank: 2,
      alpha: 2,
      inFeatures: inputs,
      outFeatures: outputs,
    };
    const asChange: WeightChange = {
      ...changesOf('k', 1)[0]!,
      delta: { kind: 'product', product: { a: branch.up, b: branch.down, rank: 2 } },
      scale: 1,
    };
    for (const change of changesOf('v', 1)) {
      const before = memory().numTensors;
      const plugged = PluggedAdapters.plug([linear], [adapter([change], [branch])]);
      plugged.setWeights([0.6]);
      const weight = new Float32Array(own.length);
      weight.set(expectedWeight([asChange], [0.6], own.subarray(0, outputs * inputs)));
      weight.set(expectedWeight([change], [0.6], own.subarray(outputs * inputs)), outputs * inputs);
      const biases = new Float32Array(2 * outputs);
      biases.set(biasOf([change], [0.6]), outputs);
      expectClose(await forward(linear), reference(weight, biases), 2e-5, change.delta?.kind);
      plugged.setWeights([0]);
      expect(await forward(linear)).toEqual(plain);
      plugged.unplug();
      expect(memory().numTensors).toBe(before);
    }
  });

  test('sizes of another layer', () => {
    const linear = new Linear(
      { weight: packedWeights(own), bias: null, inFeatures: inputs, outFeatures: 2 * outputs },
      ['k', 'v'],
    );
    const wrong: WeightChange = { ...changesOf('v', 1)[3]!, outFeatures: outputs + 4 };
    expect(() => PluggedAdapters.plug([linear], [adapter([wrong])])).toThrow(
      "v: the adapter does not have this layer's sizes",
    );
  });
});

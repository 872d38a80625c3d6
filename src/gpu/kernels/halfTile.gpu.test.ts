// Plan: products in f16, plain and by emulated units for small matrices: outputs and gradients against the CPU reference,
// which rounds the factors, for linear layers and convolutions with all that may hang on them, weights in both formats, sizes that no
// tile divides, every shape of tile, and a depth that is split; factors beyond the largest half; outside of the scope nothing is rounded;
// units are tried before they are used: right, wrong and broken ones; on a device without halves the error says what to do.
import { tensor } from '@tensorflow/tfjs-core';
import { afterEach, describe, expect, test } from 'vitest';
import emulation from '../../../shaders/matrix_emulated.wgsl?raw';
import { invariant } from '../../core/invariant.ts';
import { float32ToFloat16 } from '../../core/float16.ts';
import { openDevice } from '../device.ts';
import { frozenTensor, readTensor, tensorCount } from '../ops.ts';
import { withPrecision } from '../precision.ts';
import { finishGpuWork, startRuntime, stopRuntime } from '../runtime.ts';
import { checkOp, noise, packedWeights, useTestRuntime } from '../testing.ts';
import type { WeightFormat } from '../weightFormat.ts';
import { conv2d, packConvWeights } from './conv2d.ts';
import { linear, type LinearWeights } from './linear.ts';
import { prepareHalfPrecision } from './matrixCheck.ts';
import { forceTile, trustMatrixUnits, type MatrixUnits } from './tile.ts';

// Depths are split as on a GPU.
useTestRuntime({ asGpu: true });

const units: MatrixUnits = { m: 16, n: 16, k: 16, emulation };
const tile = { rows: 32, columns: 64 };

afterEach(() => {
  forceTile(null);
  trustMatrixUnits(null);
});

const sizeOf = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

const input = (shape: number[], seed: number, scale = 1): { shape: number[]; values: Float32Array } => ({
  shape,
  values: noise(sizeOf(shape), seed, scale),
});

/** The CPU's gradients are of what is rounded, and its output steps where the rounding does. */
const numericRtol = 0.1;

async function checkLinear({
  rows,
  inFeatures,
  format,
  gradientAtol = 6e-3,
}: {
  readonly rows: number;
  readonly inFeatures: number;
  readonly format?: WeightFormat;
  readonly gradientAtol?: number | null;
}): Promise<void> {
  const [outFeatures, groups, rank] = [132, 3, 5];
  await checkOp({
    inputs: {
      x: input([2, rows / 2, inFeatures], 1),
      residual: input([2, rows / 2, outFeatures], 2),
      a: input([groups * rank, inFeatures], 3, 0.5),
      b: input([outFeatures, rank], 4, 0.5),
    },
    f: ({ x, residual, a, b }) =>
      withPrecision('f16', () =>
        linear(
          x!,
          {
            weight: packedWeights(noise(outFeatures * inFeatures, 5, 0.5), format),
            ...(format ? { format } : {}),
            bias: tensor(noise(outFeatures, 6)),
            inFeatures,
            outFeatures,
          },
          { residual: residual!, lora: { a: a!, b: b!, scale: tensor(noise(groups * rank, 7)), groups } },
        ),
      ),
    // What the GPU rounds to the other of two halves, as t, which it sums in another order, shows.
    atol: 4e-3,
    gradientAtol,
    numericRtol,
  });
}

/** y = x. */
function identity(): LinearWeights {
  const weight = packedWeights(Float32Array.of(1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1));
  return { weight, bias: null, inFeatures: 4, outFeatures: 4 };
}

async function checkConv(image: number[], outChannels: number, stride: 1 | 2): Promise<void> {
  const [images = 1, height = 1, width = 1, inChannels = 1] = image;
  const halves = float32ToFloat16(noise(outChannels * inChannels * 9, 5, 0.3));
  const output = [images, Math.ceil(height / stride), Math.ceil(width / stride), outChannels];
  await checkOp({
    inputs: { x: input(image, 1), time: input([images, outChannels], 2), residual: input(output, 3) },
    f: ({ x, time, residual }) =>
      withPrecision('f16', () =>
        conv2d(
          x!,
          {
            weight: frozenTensor(packConvWeights(halves, [outChannels, inChannels, 3, 3])),
            bias: tensor(noise(outChannels, 6)),
            kernelSize: 3,
            inChannels,
            outChannels,
          },
          { stride, padding: [1, 1, 1, 1], timeEmbedding: time!, residual: residual! },
        ),
      ),
    atol: 1e-4,
    gradientAtol: 1e-4,
    numericRtol,
  });
}

const halves = process.env['GPU_TEST_SHADER_F16'] === 'true';

describe.runIf(halves)('products in f16', () => {
  test('plain: a linear layer and a convolution with all that may hang on them', async () => {
    await checkLinear({ rows: 70, inFeatures: 36 });
    await checkConv([1, 9, 7, 20], 68, 1);
  });

  // Drivers compile each of these for seconds: few, and of small tiles.
  test('a linear layer and a convolution by matrices of 16 x 16 x 16', async () => {
    forceTile(tile);
    trustMatrixUnits(units);
    await checkLinear({ rows: 70, inFeatures: 36 });
    await checkConv([1, 9, 7, 20], 68, 1);
  });

  // Of no device: its columns differ from its rows, and a tile has two of its depths.
  test('what comes out by matrices of 16 x 8 x 8', async () => {
    forceTile({ rows: 32, columns: 32 });
    trustMatrixUnits({ m: 16, n: 8, k: 8, emulation });
    await checkLinear({ rows: 70, inFeatures: 36, gradientAtol: null });
  });

  test('weights of 8 bits, rows that are no multiple of 4', async () => {
    await checkLinear({ rows: 66, inFeatures: 20, format: 'int8' });
  });

  test('a depth that is split among workgroups', async () => {
    await checkLinear({ rows: 18, inFeatures: 800 });
  });

  test('factors beyond the largest half count as that, and a way back that is large stays finite', async () => {
    await checkOp({
      inputs: { x: { shape: [1, 4], values: Float32Array.of(1e6, -1e6, 65504, 1) } },
      f: ({ x }) => withPrecision('f16', () => linear(x!, identity(), {})),
      atol: 0,
      gradientAtol: 0,
      numericRtol: Infinity,
    });
  });

  test('the CPU rounds as told, and rounds nothing outside of the scope', async () => {
    const x = tensor(Float32Array.of(1 + 2 ** -12, 1e-9, 3, -70000), [1, 4]);
    const rounded = withPrecision('f16', () => linear(x, identity()));
    const plain = linear(x, identity());
    expect(Array.from(await readTensor(rounded))).toEqual([1, 0, 3, -65504]);
    expect(Array.from(await readTensor(plain))).toEqual([Math.fround(1 + 2 ** -12), Math.fround(1e-9), 3, -70000]);
    for (const t of [x, rounded, plain]) t.dispose();
  });
});

describe.runIf(halves)('units for small matrices are tried before they are used', () => {
  /** As on a device that is opened: whatever was found out about the last one is forgotten. */
  async function tryOut(offered: MatrixUnits | null) {
    stopRuntime();
    await startRuntime(await openDevice(navigator.gpu));
    forceTile(tile);
    const before = tensorCount();
    const found = await prepareHalfPrecision(offered);
    expect(tensorCount()).toBe(before);
    return found;
  }

  /** What computes a product from now on, by what it makes of a number that shows. */
  async function product(): Promise<number> {
    const x = tensor(Float32Array.of(3, 0, 0, 0), [1, 4]);
    const y = withPrecision('f16', () => linear(x, identity()));
    const [value = NaN] = await readTensor(y);
    for (const t of [x, y]) t.dispose();
    return value;
  }

  const broken = (from: string, to: string): MatrixUnits => {
    invariant(emulation.includes(from), 'nothing to break');
    return { ...units, emulation: emulation.replace(from, to) };
  };

  test('those that compute right are used, and tried but once', async () => {
    const found = await tryOut(units);
    expect(found).toEqual({ computedBy: 'matrix units of 16 x 16 x 16', units });
    expect(await prepareHalfPrecision(null)).toBe(found);
    expect(await product()).toBe(3);
  });

  test.each([
    ['compute wrong', broken('added[i] +=', 'added[i] -='), /cannot be trusted \(linear: -?[\d.]+ instead of/],
    ['do not compile', broken('var added = sum;', 'var added = sums;'), /cannot be trusted \(.*sums/],
    ['are too large', { ...units, m: 512 }, /cannot be trusted \(/],
  ])('those that %s are not: plain loops do it, and no error remains', async (_, offered, words) => {
    const found = await tryOut(offered);
    expect(found.units).toBeNull();
    expect(found.computedBy).toMatch(words);
    expect(await product()).toBe(3);
    await finishGpuWork();
  });

  test('where there are none, plain loops do it', async () => {
    expect(await tryOut(null)).toEqual({
      computedBy: 'plain loops: this GPU offers no matrix units here',
      units: null,
    });
  });
});

test.runIf(!halves)('a device without halves says what to do', () => {
  const x = tensor(new Float32Array(4), [1, 4]);
  expect(() => withPrecision('f16', () => linear(x, identity()))).toThrow('cannot compute in 16 bits');
});

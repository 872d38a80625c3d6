// Plan: no machine of ours has units for small matrices, but Dawn's null backend offers them and validates what would run there: each kernel
// that uses tiles, in every shape of tile, with weights in both formats and all of its constants, for each size of matrix; and what is wrong
// comes to light in the same way.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { defined } from '../core/invariant.ts';
import { openDevice, type MatrixSizes } from '../gpu/device.ts';
import { vjp } from '../gpu/gradients.ts';
import { frozenTensor, tensor, tidy } from '../gpu/ops.ts';
import { withPrecision } from '../gpu/precision.ts';
import { finishGpuWork, startRuntime, stopRuntime, type Runtime, type Tensor } from '../gpu/runtime.ts';
import type { WeightFormat } from '../gpu/weightFormat.ts';
import { conv2d, packConvWeights } from '../gpu/kernels/conv2d.ts';
import { linear } from '../gpu/kernels/linear.ts';
import { provideWebGpu } from './nodeGpu.ts';
import { forceTile, nameOf, tileShapes, trustMatrixUnits } from '../gpu/kernels/tile.ts';

let runtime: Runtime;

beforeAll(async () => {
  const gpu = await provideWebGpu(['backend=null']);
  runtime = await startRuntime(await openDevice(gpu));
});
afterAll(() => {
  forceTile(null);
  stopRuntime();
});

const zeros = (...shape: number[]): Tensor => tensor(new Float32Array(shape.reduce((a, b) => a * b, 1)), shape);

function forwardAndBack(x: Tensor, f: () => Tensor): void {
  const tape = vjp(() => [f()], [x]);
  const y = defined(tape.outputs[0]);
  for (const t of [...tape.backward([y]), y, x]) t?.dispose();
}

function runLinear(format: WeightFormat): void {
  const [rows, inFeatures, outFeatures, groups, rank] = [70, 36, 132, 3, 5];
  const weights = {
    weight: frozenTensor(new Uint16Array(inFeatures * outFeatures), format),
    format,
    bias: zeros(outFeatures),
    inFeatures,
    outFeatures,
  };
  const lora = {
    a: zeros(groups * rank, inFeatures),
    b: zeros(outFeatures, rank),
    scale: zeros(groups * rank),
    groups,
  };
  const x = zeros(rows, inFeatures);
  forwardAndBack(x, () => linear(x, weights, { lora }));
}

function runConv(format: WeightFormat, inChannels: number): void {
  const outChannels = 72;
  const halves = packConvWeights(new Uint16Array(outChannels * inChannels * 9), [outChannels, inChannels, 3, 3]);
  const weights = {
    weight: frozenTensor(halves, format),
    format,
    bias: zeros(outChannels),
    kernelSize: 3,
    inChannels,
    outChannels,
  };
  const x = zeros(1, 9, 9, inChannels);
  forwardAndBack(x, () => conv2d(x, weights, { stride: 2, padding: [1, 1, 1, 1] }));
}

async function validate(sizes: MatrixSizes): Promise<void> {
  trustMatrixUnits(sizes);
  withPrecision('f16', () =>
    tidy(() => {
      for (const format of ['f16', 'int8'] as const) {
        runLinear(format);
        runConv(format, 20);
        runConv(format, 13);
      }
    }),
  );
  await finishGpuWork();
}

test('the null backend offers matrix units, but names no sizes', () => {
  expect(runtime.device.features.has('chromium-experimental-subgroup-matrix')).toBe(true);
  expect(runtime.opened.matrixSizes).toBeNull();
});

describe.each<MatrixSizes>([
  { m: 16, n: 16, k: 16 },
  { m: 16, n: 8, k: 16 },
  { m: 8, n: 8, k: 8 },
])('matrices of $m x $n x $k', (sizes) => {
  test.each(tileShapes.map((shape) => ({ name: nameOf(shape), shape })))('in tiles of $name', async ({ shape }) => {
    forceTile(shape);
    await expect(validate(sizes)).resolves.toBeUndefined();
  });
});

test('what is wrong is found', async () => {
  forceTile(null);
  await expect(validate({ m: 16, n: 16, k: 24 })).rejects.toThrow('The GPU refused a command');
});

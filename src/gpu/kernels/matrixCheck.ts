/**
 * Makes a GPU ready for products in f16. Its units for small matrices are used only if they give what the plain tile gives: they are an
 * experiment of browsers and drivers, and a wrong product would spoil a training without a word. So each of the kernels computes
 * one small product of known numbers with both, once for each device; from then on the choice is fixed, and with it the bits.
 */
import { tensor } from '@tensorflow/tfjs-core';
import { float32ToFloat16 } from '../../core/float16.ts';
import { defined } from '../../core/invariant.ts';
import { TorchGenerator } from '../../core/rng.ts';
import type { MatrixSizes } from '../device.ts';
import { HalfPrecisionError } from '../errors.ts';
import { vjp } from '../gradients.ts';
import { frozenTensor } from '../ops.ts';
import { withPrecision } from '../precision.ts';
import { flush, readTensor, runtime, type Tensor } from '../runtime.ts';
import { conv2d, packConvWeights } from './conv2d.ts';
import { linear } from './linear.ts';
import { trustMatrixUnits, type MatrixUnits } from './tile.ts';

export interface HalfPrecision {
  /** What computes products in f16, in words for a log. */
  readonly computedBy: string;
  /** The small matrices that are in use; null: plain loops. */
  readonly units: MatrixSizes | null;
}

const ready = new WeakMap<GPUDevice, Promise<HalfPrecision>>();

/**
 * To be awaited before anything is computed in f16; nothing else may use the GPU meanwhile. Costs a few kernels' compilation the first time.
 * `offered`: the units to try, the device's if not given.
 *
 * @throws {HalfPrecisionError} where the device has no halves.
 */
export function prepareHalfPrecision(
  offered: MatrixUnits | null = runtime().opened.matrixSizes,
): Promise<HalfPrecision> {
  const { device, shaderF16 } = runtime();
  if (!shaderF16) return Promise.reject(new HalfPrecisionError());
  let found = ready.get(device);
  if (!found) ready.set(device, (found = choose(device, offered)));
  return found;
}

async function choose(device: GPUDevice, offered: MatrixUnits | null): Promise<HalfPrecision> {
  if (!offered) return { computedBy: 'plain loops: this GPU offers no matrix units here', units: null };
  const wanted = await products();
  const fault = await faultOf(device, offered, wanted);
  if (fault === null) {
    const { m, n, k } = offered;
    return { computedBy: `matrix units of ${m} x ${n} x ${k}`, units: offered };
  }
  trustMatrixUnits(null);
  return { computedBy: `plain loops: this GPU’s matrix units cannot be trusted (${fault})`, units: null };
}

/** Leaves the units trusted; what is wrong with them, or null. */
async function faultOf(device: GPUDevice, units: MatrixUnits, wanted: readonly Float32Array[]): Promise<string | null> {
  // Errors in here are no reason to give up, so they must not come to those who watch the device.
  const kinds = ['validation', 'internal', 'out-of-memory'] as const;
  flush();
  for (const kind of kinds) device.pushErrorScope(kind);
  let results: readonly Float32Array[] | null = null;
  let fault: string | null = null;
  try {
    trustMatrixUnits(units);
    results = await products();
  } catch (cause) {
    fault = firstLine(cause instanceof Error ? cause.message : String(cause));
  }
  for (const _ of kinds) {
    const error = await device.popErrorScope();
    fault ??= error && firstLine(error.message);
  }
  return fault ?? difference(defined(results), wanted);
}

/** Both tiles round factors alike and differ in the order of additions: by so much at most, in terms of the largest result. */
const tolerance = 1e-4;

function firstLine(text: string): string {
  return text.split('\n', 1)[0]!;
}

function difference(results: readonly Float32Array[], wanted: readonly Float32Array[]): string | null {
  for (const [i, expected] of wanted.entries()) {
    const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    const actual = defined(results[i]);
    for (const [j, value] of expected.entries()) {
      const error = Math.abs(actual[j]! - value);
      if (!(error <= tolerance * largest)) return `${productNames[i]}: ${actual[j]} instead of ${value}`;
    }
  }
  return null;
}

const productNames = ['linear', 'its gradient', 'convolution', 'its gradient'] as const;

/** Each kernel's product once, with sizes that no tile divides: outputs and gradients of a linear layer and a convolution. */
async function products(): Promise<Float32Array[]> {
  const held: Tensor[] = [];
  const hold = (t: Tensor): Tensor => {
    held.push(t);
    return t;
  };
  const known = (shape: number[], seed: number): Tensor => hold(tensor(numbers(shape, seed), shape));
  const [rows, inFeatures, outFeatures, rank] = [77, 84, 148, 3];
  const [side, inChannels, outChannels] = [9, 20, 76];
  const halves = float32ToFloat16(numbers([outChannels, inChannels, 9], 1));
  const linearWeights = {
    weight: hold(frozenTensor(float32ToFloat16(numbers([outFeatures, inFeatures], 2)))),
    bias: null,
    inFeatures,
    outFeatures,
  };
  const convWeights = {
    weight: hold(frozenTensor(packConvWeights(halves, [outChannels, inChannels, 3, 3]))),
    bias: null,
    kernelSize: 3,
    inChannels,
    outChannels,
  };
  const lora = {
    a: known([rank, inFeatures], 3),
    b: known([outFeatures, rank], 4),
    scale: known([rank], 5),
    groups: 1,
  };
  /** The output of `f` and its gradient towards x. */
  const both = (x: Tensor, f: () => Tensor): Tensor[] => {
    const tape = vjp(() => [f()], [x]);
    const y = hold(defined(tape.outputs[0]));
    const dx = hold(defined(tape.backward([known(y.shape, 6)])[0]));
    return [y, dx];
  };
  const tokens = known([rows, inFeatures], 7);
  const image = known([1, side, side, inChannels], 8);
  try {
    const results = withPrecision('f16', () => [
      ...both(tokens, () => linear(tokens, linearWeights, { lora })),
      ...both(image, () => conv2d(image, convWeights, { stride: 1, padding: [1, 1, 1, 1] })),
    ]);
    return await Promise.all(results.map((result) => readTensor(result)));
  } finally {
    for (const t of held) t.dispose();
  }
}

/** From -1 to 1. */
function numbers(shape: readonly number[], seed: number): Float32Array<ArrayBuffer> {
  const size = shape.reduce((a, b) => a * b, 1);
  return new TorchGenerator(seed).rand(size).map((value) => 2 * value - 1);
}

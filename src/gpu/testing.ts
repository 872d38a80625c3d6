/** What the GPU tests share: a runtime per file, tensors from numbers, and checks that say where two tensors differ most. */
import { registerBackend, setBackend, tensor, tidy, memory, removeBackend } from '@tensorflow/tfjs-core';
import { MathBackendCPU } from '@tensorflow/tfjs-backend-cpu/dist/base';
import '@tensorflow/tfjs-backend-cpu/dist/register_all_kernels';
import { afterAll, beforeAll, expect } from 'vitest';
import { openDevice } from './device.ts';
import { vjp } from './gradients.ts';
import { finishGpuWork, readTensor, startRuntime, stopRuntime, type Tensor } from './runtime.ts';
import { float32ToFloat16 } from '../core/float16.ts';
import { frozenTensor } from './ops.ts';
import type { WeightFormat } from './weightFormat.ts';

/**
 * Starts a runtime before a file's tests and ends it after them. `asGpu`: which takes the software GPU for a real one, so that the paths
 * are tested that are chosen there alone.
 */
export function useTestRuntime({ asGpu = false }: { readonly asGpu?: boolean } = {}): void {
  beforeAll(async () => {
    removeBackend('cpu');
    registerBackend('cpu', () => new MathBackendCPU(), 1);
    const opened = await openDevice(navigator.gpu);
    await startRuntime(asGpu ? { ...opened, isSoftware: false } : opened);
  });
  afterAll(() => {
    stopRuntime();
  });
}

/** Numbers that look random, are the same in every run, and lie in [-scale, scale). */
export function noise(size: number, seed: number, scale = 1): Float32Array<ArrayBuffer> {
  const values = new Float32Array(size);
  let state = (seed * 2654435761 + 12345) >>> 0;
  for (let i = 0; i < size; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    let x = state;
    x = Math.imul(x ^ (x >>> 16), 0x45d9f3b);
    x = (x ^ (x >>> 16)) >>> 0;
    values[i] = (x / 2 ** 31 - 1) * scale;
  }
  return values;
}

/** Frozen weights as kernels take them: the nearest halves, in the words of `format`. */
export function packedWeights(values: Float32Array, format: WeightFormat = 'f16'): Tensor {
  return frozenTensor(float32ToFloat16(values), format);
}

export interface Spot {
  readonly index: number;
  readonly actual: number;
  readonly expected: number;
}

/** Expects |actual - expected| <= atol everywhere, and NaN nowhere; the message names the worst place. */
export function expectClose(actual: ArrayLike<number>, expected: ArrayLike<number>, atol: number, what = ''): void {
  expect(actual.length, `${what}: length`).toBe(expected.length);
  let worst: Spot | null = null;
  let worstError = atol;
  for (let i = 0; i < expected.length; i++) {
    const error = Math.abs(actual[i]! - expected[i]!);
    if (!(error <= worstError)) {
      worstError = Number.isNaN(error) ? Infinity : error;
      worst = { index: i, actual: actual[i]!, expected: expected[i]! };
    }
  }
  expect(worst, `${what}: differs most here, tolerance ${atol}`).toBeNull();
}

export interface OpCheck {
  /** The differentiable inputs. */
  readonly inputs: Readonly<Record<string, { readonly shape: number[]; readonly values: Float32Array }>>;
  /** Runs the op; called on the backend `cpu` (reference) and `webgpu`. Makes its own frozen weights. */
  readonly f: (inputs: Record<string, Tensor>) => Tensor;
  /** Largest allowed |GPU - CPU| of the output. */
  readonly atol: number;
  /** Largest allowed |GPU - CPU| of any gradient; null: the op has no gradient. */
  readonly gradientAtol: number | null;
  /** Largest allowed relative error of the CPU gradient against central differences. */
  readonly numericRtol?: number;
  /** Step of the central differences. */
  readonly epsilon?: number;
}

/**
 * Checks one op: the GPU's output and gradients against the CPU reference's, the CPU's gradients against central
 * differences along random directions, and that no tensor leaks.
 */
export async function checkOp(check: OpCheck): Promise<void> {
  const names = Object.keys(check.inputs);
  const run = async (): Promise<{ y: Float32Array; gradients: Float32Array[] }> => {
    const before = memory().numTensors;
    const xs = names.map((name) => tensor(check.inputs[name]!.values, check.inputs[name]!.shape, 'float32'));
    const f = (): Tensor => check.f(Object.fromEntries(names.map((name, i) => [name, xs[i]!])));
    let y: Float32Array;
    const gradients: Float32Array[] = [];
    if (check.gradientAtol === null) {
      const output = tidy(f);
      y = await valuesOf(output);
      output.dispose();
    } else {
      const tape = vjp(() => [f()], xs);
      const output = tape.outputs[0]!;
      y = await valuesOf(output);
      const dy = tensor(noise(output.size, 99), output.shape, 'float32');
      const results = tape.backward([dy]);
      for (const [i, gradient] of results.entries()) {
        expect(gradient, `gradient of ${names[i]}`).not.toBeNull();
        expect(gradient!.shape).toEqual(xs[i]!.shape);
        gradients.push(await valuesOf(gradient!));
        gradient!.dispose();
      }
      output.dispose();
      dy.dispose();
    }
    for (const x of xs) x.dispose();
    expect(memory().numTensors, 'tensors after the op').toBe(before);
    return { y, gradients };
  };
  await setBackend('cpu');
  const cpu = await run();
  if (check.gradientAtol !== null) await checkNumerically(check, names, cpu.gradients);
  await setBackend('webgpu');
  const gpu = await run();
  await finishGpuWork();
  expectClose(gpu.y, cpu.y, check.atol, 'output');
  gpu.gradients.forEach((gradient, i) => {
    expectClose(gradient, cpu.gradients[i]!, check.gradientAtol!, `gradient of ${names[i]}`);
  });
}

async function valuesOf(t: Tensor): Promise<Float32Array> {
  // On the CPU backend tfjs' own reader is right; on the GPU ours is.
  const { engine } = await import('@tensorflow/tfjs-core');
  return engine().backendName === 'cpu' ? Float32Array.from(t.dataSync()) : readTensor(t);
}

async function checkNumerically(
  check: OpCheck,
  names: readonly string[],
  gradients: readonly Float32Array[],
): Promise<void> {
  const epsilon = check.epsilon ?? 1e-2;
  const evaluate = (values: readonly Float32Array[]): Float32Array =>
    tidy(() => {
      const xs = names.map((name, i) => tensor(values[i]!, check.inputs[name]!.shape, 'float32'));
      return Float32Array.from(check.f(Object.fromEntries(names.map((name, i) => [name, xs[i]!]))).dataSync());
    });
  const base = names.map((name) => check.inputs[name]!.values);
  for (const [i, name] of names.entries()) {
    const direction = noise(base[i]!.length, 1000 + i);
    const shifted = (sign: number): Float32Array =>
      evaluate(base.map((values, j) => (j === i ? values.map((v, k) => v + sign * epsilon * direction[k]!) : values)));
    const plus = shifted(1);
    const minus = shifted(-1);
    const dy = noise(plus.length, 99);
    let numeric = 0;
    for (let k = 0; k < plus.length; k++) numeric += (dy[k]! * (plus[k]! - minus[k]!)) / (2 * epsilon);
    let analytic = 0;
    let norm = 0;
    for (let k = 0; k < direction.length; k++) {
      analytic += gradients[i]![k]! * direction[k]!;
      norm += (gradients[i]![k]! * direction[k]!) ** 2;
    }
    const scale = Math.max(Math.abs(analytic), Math.sqrt(norm), 1e-3);
    expect(Math.abs(numeric - analytic) / scale, `gradient of ${name} against central differences`).toBeLessThan(
      check.numericRtol ?? 1e-2,
    );
  }
}

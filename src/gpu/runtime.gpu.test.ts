// Plan: what goes wrong on the GPU must surface as a typed error, never as zeros: a shader that does not compile, a command that
// breaks the rules, a tensor over the binding limit, a grid over the dispatch limit, a device that is lost. And the pool: memory
// returns to the baseline, freed buffers are used again.
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { add, tensor, tidy, trimMemory } from './ops.ts';
import { openDevice } from './device.ts';
import { DeviceLostError, GpuLimitError, GpuValidationError, NoWebGpuError } from './errors.ts';
import {
  dispatch,
  emptyTensor,
  finishGpuWork,
  readTensor,
  releaseTensor,
  runtime,
  startRuntime,
  stopRuntime,
  writeTensor,
} from './runtime.ts';

const copyShader = `
@group(0) @binding(0) var<storage, read_write> y: array<f32>;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x < arrayLength(&y)) { y[id.x] = x[id.x]; }
}`;

beforeEach(async () => {
  await startRuntime(await openDevice(navigator.gpu));
});

afterEach(() => {
  stopRuntime();
});

describe('typed errors', () => {
  test('no WebGPU at all', async () => {
    await expect(openDevice(undefined)).rejects.toThrow(NoWebGpuError);
    await expect(openDevice(undefined)).rejects.toThrow('WebGPU is not available: this browser has no navigator.gpu.');
  });

  test('a shader that does not compile', async () => {
    const y = emptyTensor([4]);
    dispatch({ shader: 'fn main() { this is no WGSL }', label: 'broken', outputs: [y], inputs: [], workgroups: [1] });
    await expect(readTensor(y)).rejects.toThrow(GpuValidationError);
  });

  test('a bound buffer that the shader writes but the layout calls read-only', async () => {
    const x = tensor(Float32Array.of(1, 2, 3, 4), [4]);
    const shader = copyShader.replace('var<storage, read> x', 'var<storage, read_write> x');
    const y = emptyTensor([4]);
    dispatch({ shader, label: 'mismatch', outputs: [y], inputs: [x], workgroups: [1] });
    await expect(finishGpuWork()).rejects.toThrow(GpuValidationError);
  });

  test('a tensor over the binding limit', () => {
    const limit = runtime().device.limits.maxStorageBufferBindingSize;
    Object.defineProperty(runtime().device, 'limits', {
      value: { ...limitsOf(runtime().device), maxStorageBufferBindingSize: 1024 },
    });
    expect(limit).toBeGreaterThan(1024);
    const x = tensor(new Float32Array(512), [512]);
    const run = (): void =>
      dispatch({ shader: copyShader, label: 'copy', outputs: [emptyTensor([512])], inputs: [x], workgroups: [8] });
    expect(run).toThrow(GpuLimitError);
    expect(run).toThrow('copy needs 2048 for maxStorageBufferBindingSize, but this GPU allows 1024.');
  });

  test('a grid over the dispatch limit', () => {
    const x = tensor(new Float32Array(4), [4]);
    const run = (): void =>
      dispatch({
        shader: copyShader,
        label: 'copy',
        outputs: [emptyTensor([4])],
        inputs: [x],
        workgroups: [1_000_000],
      });
    expect(run).toThrow(GpuLimitError);
  });

  test('a lost device', async () => {
    const x = tensor(Float32Array.of(1, 2, 3, 4), [4]);
    const y = tidy(() => add(x, x));
    runtime().device.destroy();
    await runtime().lost;
    await expect(readTensor(y)).rejects.toThrow(DeviceLostError);
  });
});

describe('memory', () => {
  test('bytes return to the baseline after work is freed and the pool trimmed', async () => {
    const work = async (): Promise<void> => {
      const x = tensor(new Float32Array(4096), [4096]);
      const y = tidy(() => add(add(x, x), x));
      await readTensor(y);
      x.dispose();
      y.dispose();
    };
    await work();
    trimMemory();
    const { liveBytes, liveBuffers } = runtime().counters;
    for (let i = 0; i < 5; i++) await work();
    trimMemory();
    expect(runtime().counters.liveBytes).toBe(liveBytes);
    expect(runtime().counters.liveBuffers).toBe(liveBuffers);
  });

  test('a freed buffer is used again within the same submission', async () => {
    const x = tensor(
      Float32Array.from({ length: 256 }, (_, i) => i),
      [256],
    );
    await finishGpuWork();
    const before = runtime().counters.liveBuffers;
    let y = emptyTensor([256]);
    dispatch({ shader: copyShader, label: 'copy', outputs: [y], inputs: [x], workgroups: [4] });
    for (let i = 0; i < 10; i++) {
      const next = emptyTensor([256]);
      dispatch({ shader: copyShader, label: 'copy', outputs: [next], inputs: [y], workgroups: [4] });
      releaseTensor(y);
      y = next;
    }
    expect(runtime().counters.liveBuffers - before).toBeLessThanOrEqual(3);
    expect(Array.from(await readTensor(y))).toEqual(Array.from({ length: 256 }, (_, i) => i));
  });

  test('writeTensor: work recorded before reads the old values, work after reads the new ones', async () => {
    const x = tensor(Float32Array.of(1, 2, 3, 4), [4]);
    const before = tidy(() => add(x, x));
    writeTensor(x, Float32Array.of(10, 20, 30, 40));
    const after = tidy(() => add(x, x));
    expect(Array.from(await readTensor(before))).toEqual([2, 4, 6, 8]);
    expect(Array.from(await readTensor(after))).toEqual([20, 40, 60, 80]);
  });
});

function limitsOf(device: GPUDevice): Record<string, number> {
  const limits: Record<string, number> = {};
  for (const name in device.limits) limits[name] = device.limits[name as 'maxBufferSize'];
  return limits;
}

// Plan: ways to write a tensor, of which one is slower, one writes other bits, one nothing, and some do not compile or exceed the device's
// limits: times in their order, checksums that tell them apart, no error left behind, nothing counted, no buffer kept.
import { describe, expect, test } from 'vitest';
import { dispatchTimer } from './dispatchTimer.ts';
import { emptyTensor, finishGpuWork, runtime, type Dispatch } from './runtime.ts';
import { useTestRuntime } from './testing.ts';
import { defined } from '../core/invariant.ts';

useTestRuntime();

const size = 64 * 64;

/** Writes i + `offset` into element i, after `turns` turns of a loop whose result is never used, which no compiler can know. */
const shader = `
@group(0) @binding(0) var<storage, read_write> y: array<f32>;
@group(0) @binding(1) var<uniform> turns: vec4u;
@compute @workgroup_size(THREADS)
fn main(@builtin(global_invocation_id) id: vec3u) {
  var value = f32(id.x);
  for (var i = 0u; i < turns.x; i++) { value = fract(value * 0.5) + f32(id.x); }
  if (WRITES) { y[id.x] = select(f32(id.x + OFFSET), value, value > 1e6); }
}`;

function way(
  change: { turns?: number; OFFSET?: number; WRITES?: boolean; THREADS?: number; text?: string } = {},
): Dispatch {
  const { turns = 0, OFFSET = 0, WRITES = true, THREADS = 64, text = shader } = change;
  return {
    shader: text,
    label: `way ${text.length}`,
    constants: { OFFSET, WRITES, THREADS },
    outputs: [emptyTensor([size])],
    inputs: [],
    uniforms: [turns],
    workgroups: [Math.ceil(size / THREADS)],
  };
}

describe('dispatchTimer', () => {
  const timer = () => defined(dispatchTimer());

  test('times ways and tells which of them write the same', async () => {
    await finishGpuWork();
    const ways = [way(), way({ turns: 3000 }), way({ OFFSET: 1 }), way({ WRITES: false })];
    for (const each of ways) expect(await timer().compile(each)).toBe(true);
    // Makes the tensors' buffers.
    await timer().measure(ways, 1);
    const { liveBuffers, liveBytes, dispatches } = runtime().counters;
    const [fast, slow, other, none] = defined(await timer().measure(ways, 2));
    expect(fast!.nanoseconds).toBeGreaterThan(0);
    expect(slow!.nanoseconds).toBeGreaterThan(2 * fast!.nanoseconds);
    expect(slow!.checksum).toBe(fast!.checksum);
    expect(other!.checksum).not.toBe(fast!.checksum);
    expect(none!.checksum).toBe(0);
    expect(fast!.checksum).not.toBe(0);
    expect(runtime().counters).toMatchObject({ liveBuffers, liveBytes, dispatches });
    await finishGpuWork();
  });

  test('what cannot run is said to, and leaves no error', async () => {
    const tooMany = 2 * runtime().device.limits.maxComputeInvocationsPerWorkgroup;
    expect(await timer().compile(way({ THREADS: tooMany }))).toBe(false);
    expect(await timer().compile(way({ text: 'no WGSL' }))).toBe(false);
    const tooLarge = { ...way(), workgroups: [2 * runtime().device.limits.maxComputeWorkgroupsPerDimension] as const };
    expect(await timer().measure([way(), tooLarge], 1)).toBeNull();
    await finishGpuWork();
  });
});

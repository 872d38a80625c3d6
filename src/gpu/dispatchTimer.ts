/**
 * Times dispatches on the runtime's device, for the tuner: in command buffers of their own behind what has been recorded, whose errors reach
 * nobody. It also tells whether they write the same: their first output is cleared before and checked after each. So whoever asks must
 * dispatch the work once more, by the way that it trusts.
 */
import checksumShader from '../../shaders/checksum.wgsl?raw';
import { defined } from '../core/invariant.ts';
import { compileAhead, encodeDispatch, flush, runtime, tensorBuffer, type Dispatch } from './runtime.ts';
import type { Measurer, Timing } from './tuner.ts';

/** Every way runs so often, in turn with the others: what else the GPU and its clock do hits all of them. */
const rounds = 3;
/** Between the checksums in their buffer: the largest alignment that WebGPU asks of a binding. */
const sumStride = 256;
const scopes = ['validation', 'out-of-memory', 'internal'] as const;

/** Null where the device has no clock. */
export function dispatchTimer(): Measurer<Dispatch> | null {
  const { device } = runtime();
  if (!device.features.has('timestamp-query')) return null;
  return {
    rounds,
    compile: (spec) => compileAhead(spec).catch(() => false),
    measure: (ways, repetitions) => measure(device, ways, repetitions).catch(() => null),
  };
}

async function measure(device: GPUDevice, ways: readonly Dispatch[], repetitions: number): Promise<Timing[] | null> {
  flush();
  const made: { destroy(): void }[] = [];
  for (const scope of scopes) device.pushErrorScope(scope);
  let results: GPUBuffer | null = null;
  try {
    results = submit(device, ways, repetitions, (object) => (made.push(object), object));
  } catch {
    // A limit of the device, which a larger tile may exceed.
  }
  const errors = scopes.map(() => device.popErrorScope());
  try {
    if ((await Promise.all(errors)).some((error) => error !== null) || !results) return null;
    await results.mapAsync(GPUMapMode.READ);
    return readTimings(results.getMappedRange(), ways.length);
  } finally {
    for (const object of made) object.destroy();
  }
}

/** Submits the measurement; returns the buffer that will hold the clock at begin and end of every pass, then the checksums. */
function submit(
  device: GPUDevice,
  ways: readonly Dispatch[],
  repetitions: number,
  keep: <T extends { destroy(): void }>(object: T) => T,
): GPUBuffer {
  const usage = GPUBufferUsage;
  const passes = rounds * ways.length;
  const clockBytes = 16 * passes;
  const sumBytes = sumStride * ways.length;
  const querySet = keep(device.createQuerySet({ type: 'timestamp', count: 2 * passes }));
  const clock = keep(device.createBuffer({ size: clockBytes, usage: usage.QUERY_RESOLVE | usage.COPY_SRC }));
  const sums = keep(device.createBuffer({ size: sumBytes, usage: usage.STORAGE | usage.COPY_SRC }));
  const results = keep(device.createBuffer({ size: clockBytes + sumBytes, usage: usage.MAP_READ | usage.COPY_DST }));
  const checksum = checksumPipeline(device);
  for (let i = 0; i < passes; i++) {
    const way = defined(ways[i % ways.length]);
    const output = tensorBuffer(defined(way.outputs[0]));
    const first = i < ways.length;
    // A submission of its own: drivers take one that lasts a second or two for a hang.
    const encoder = device.createCommandEncoder({ label: 'tuner' });
    if (first) encoder.clearBuffer(output);
    const timestampWrites = { querySet, beginningOfPassWriteIndex: 2 * i, endOfPassWriteIndex: 2 * i + 1 };
    const pass = encoder.beginComputePass({ label: 'tuner', timestampWrites });
    encodeDispatch(pass, way, repetitions);
    pass.end();
    if (first) {
      const check = encoder.beginComputePass({ label: 'tuner' });
      check.setPipeline(checksum);
      const entries = [
        { binding: 0, resource: { buffer: sums, offset: sumStride * i, size: 4 } },
        { binding: 1, resource: { buffer: output } },
      ];
      check.setBindGroup(0, device.createBindGroup({ layout: checksum.getBindGroupLayout(0), entries }));
      check.dispatchWorkgroups(256);
      check.end();
    }
    device.queue.submit([encoder.finish()]);
  }
  const encoder = device.createCommandEncoder({ label: 'tuner' });
  encoder.resolveQuerySet(querySet, 0, 2 * passes, clock, 0);
  encoder.copyBufferToBuffer(clock, 0, results, 0, clockBytes);
  encoder.copyBufferToBuffer(sums, 0, results, clockBytes, sumBytes);
  device.queue.submit([encoder.finish()]);
  return results;
}

function readTimings(bytes: ArrayBuffer, ways: number): Timing[] {
  const passes = rounds * ways;
  const clock = new BigUint64Array(bytes, 0, 2 * passes);
  const sums = new Uint32Array(bytes, 16 * passes);
  return Array.from({ length: ways }, (_, way) => {
    let nanoseconds = Infinity;
    for (let i = way; i < passes; i += ways) {
      nanoseconds = Math.min(nanoseconds, Number(clock[2 * i + 1]! - clock[2 * i]!));
    }
    return { nanoseconds, checksum: sums[(way * sumStride) / 4]! };
  });
}

const pipelines = new WeakMap<GPUDevice, GPUComputePipeline>();

function checksumPipeline(device: GPUDevice): GPUComputePipeline {
  let pipeline = pipelines.get(device);
  if (!pipeline) {
    const module = device.createShaderModule({ label: 'checksum', code: checksumShader });
    pipeline = device.createComputePipeline({
      label: 'checksum',
      layout: 'auto',
      compute: { module, entryPoint: 'main' },
    });
    pipelines.set(device, pipeline);
  }
  return pipeline;
}

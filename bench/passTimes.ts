/**
 * The GPU's own clock around every compute pass of a device, so that work of any length can be timed and one can see how much of its time
 * the GPU waited for JavaScript.
 */
import { defined, invariant } from '../src/core/invariant.ts';

export interface GpuTimeline {
  /** From the begin of the first pass to the end of the last. */
  readonly spanMs: number;
  /** Of all passes together: the rest of the span is copies and waiting. */
  readonly busyMs: number;
}

export interface PassTimes {
  /** Times what `work` records and submits; null where the device has no clock, or one that stood still. */
  measure(work: () => Promise<void>): Promise<GpuTimeline | null>;
}

const mostPasses = 2048;

/** Call before anything records commands. */
export function timePasses(device: GPUDevice): PassTimes {
  if (!device.features.has('timestamp-query')) return { measure: async (work) => (await work(), null) };
  let active: { readonly querySet: GPUQuerySet; passes: number } | null = null;
  const createCommandEncoder = device.createCommandEncoder.bind(device);
  device.createCommandEncoder = (descriptor) => {
    const encoder = createCommandEncoder(descriptor);
    const beginComputePass = encoder.beginComputePass.bind(encoder);
    encoder.beginComputePass = (passDescriptor) => {
      if (!active || passDescriptor?.timestampWrites) return beginComputePass(passDescriptor);
      const at = 2 * active.passes++;
      invariant(active.passes <= mostPasses, 'Too many passes to time');
      const { querySet } = active;
      const timestampWrites = { querySet, beginningOfPassWriteIndex: at, endOfPassWriteIndex: at + 1 };
      return beginComputePass({ ...passDescriptor, timestampWrites });
    };
    return encoder;
  };
  const measure = async (work: () => Promise<void>): Promise<GpuTimeline | null> => {
    const querySet = device.createQuerySet({ type: 'timestamp', count: 2 * mostPasses });
    const size = 16 * mostPasses;
    const resolved = device.createBuffer({ size, usage: GPUBufferUsage.QUERY_RESOLVE | GPUBufferUsage.COPY_SRC });
    const mapped = device.createBuffer({ size, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
    try {
      active = { querySet, passes: 0 };
      await work();
      const { passes } = active;
      if (passes === 0) return null;
      const encoder = createCommandEncoder();
      encoder.resolveQuerySet(querySet, 0, 2 * passes, resolved, 0);
      encoder.copyBufferToBuffer(resolved, 0, mapped, 0, 16 * passes);
      device.queue.submit([encoder.finish()]);
      await mapped.mapAsync(GPUMapMode.READ);
      const clock = new BigUint64Array(mapped.getMappedRange(0, 16 * passes));
      let busy = 0n;
      for (let i = 0; i < passes; i++) busy += clock[2 * i + 1]! - clock[2 * i]!;
      const span = defined(clock[2 * passes - 1]) - clock[0]!;
      return span > 0n ? { spanMs: Number(span) / 1e6, busyMs: Number(busy) / 1e6 } : null;
    } finally {
      active = null;
      querySet.destroy();
      resolved.destroy();
      mapped.destroy();
    }
  };
  return { measure };
}

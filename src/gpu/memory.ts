/** Counts of what was asked of a GPUDevice: the only honest source for memory figures, as every buffer passes here. */
export interface GpuCounters {
  /** Bytes of all buffers that are alive. */
  liveBytes: number;
  /** Highest `liveBytes` since the last {@link resetPeak}. */
  peakBytes: number;
  /** Buffers alive. */
  liveBuffers: number;
  /** Since the device was opened. */
  dispatches: number;
  submits: number;
  /** Floating-point operations of matrix products, convolutions and attention, by their sizes: a multiply-add counts two. */
  flop: number;
  /** Bytes that went from here to the GPU, through mapped buffers and the queue's writes. */
  uploadedBytes: number;
}

/** Wraps `device.createBuffer`, `queue.submit` and `queue.writeBuffer`, so that every buffer's bytes are counted until it is destroyed. */
export function countDevice(device: GPUDevice): GpuCounters {
  const counters: GpuCounters = {
    liveBytes: 0,
    peakBytes: 0,
    liveBuffers: 0,
    dispatches: 0,
    submits: 0,
    flop: 0,
    uploadedBytes: 0,
  };
  const createBuffer = device.createBuffer.bind(device);
  device.createBuffer = (descriptor) => {
    const { size, mappedAtCreation = false } = descriptor;
    if (mappedAtCreation) counters.uploadedBytes += size;
    const buffer = createBuffer(descriptor);
    counters.liveBytes += size;
    counters.liveBuffers++;
    counters.peakBytes = Math.max(counters.peakBytes, counters.liveBytes);
    const destroy = buffer.destroy.bind(buffer);
    let alive = true;
    buffer.destroy = () => {
      if (alive) {
        alive = false;
        counters.liveBytes -= size;
        counters.liveBuffers--;
      }
      return destroy();
    };
    return buffer;
  };
  const submit = device.queue.submit.bind(device.queue);
  device.queue.submit = (commands) => {
    counters.submits++;
    return submit(commands);
  };
  const write = device.queue.writeBuffer.bind(device.queue);
  device.queue.writeBuffer = (...[buffer, offset, data, start = 0, size]: Parameters<GPUQueue['writeBuffer']>) => {
    // Both count in the array's elements.
    const bytesEach = 'BYTES_PER_ELEMENT' in data ? Number(data.BYTES_PER_ELEMENT) : 1;
    counters.uploadedBytes += size === undefined ? data.byteLength - start * bytesEach : size * bytesEach;
    return write(buffer, offset, data, start, size);
  };
  return counters;
}

/** Starts a new measurement of the peak from what is alive now. */
export function resetPeak(counters: GpuCounters): void {
  counters.peakBytes = counters.liveBytes;
}

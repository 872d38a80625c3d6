/**
 * Makes a device of Dawn's null backend pretend: every buffer claims its full size but is made tiny, for that backend runs
 * nothing and allows 512 MB in all. So a full-size model can be "trained" on a small machine and its memory counted.
 */
const realBytes = 256;

/** Uniform blocks are small and validated against their exact size, so they stay as they are. */
function shrinks({ size, usage }: GPUBufferDescriptor): boolean {
  return size > realBytes && (usage & GPUBufferUsage.UNIFORM) === 0;
}

/** Shrinks all buffers that `device` makes from now on; what is written is dropped, what is read is zero. */
export function shrinkBuffers(device: GPUDevice): void {
  const createBuffer = device.createBuffer.bind(device);
  device.createBuffer = (descriptor) => {
    if (!shrinks(descriptor)) return createBuffer(descriptor);
    const { size } = descriptor;
    const buffer = createBuffer({ ...descriptor, size: realBytes });
    Object.defineProperty(buffer, 'size', { value: size });
    buffer.getMappedRange = (offset = 0, length = size - offset) => new ArrayBuffer(length);
    return buffer;
  };
  const createCommandEncoder = device.createCommandEncoder.bind(device);
  device.createCommandEncoder = (encoderDescriptor) => {
    const encoder = createCommandEncoder(encoderDescriptor);
    // The contents do not matter, and the sizes would not be valid.
    encoder.copyBufferToBuffer = dropped;
    return encoder;
  };
  const { queue } = device;
  const writeBuffer = queue.writeBuffer.bind(queue) as (buffer: GPUBuffer, ...rest: unknown[]) => undefined;
  queue.writeBuffer = (buffer: GPUBuffer, ...rest: unknown[]): undefined => {
    if (buffer.size <= realBytes) writeBuffer(buffer, ...rest);
  };
}

function dropped(): undefined {
  return undefined;
}

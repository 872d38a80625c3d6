/**
 * A pool of GPU buffers with the interface of tfjs' BufferManager.
 *
 * It differs in two ways. Which free buffer is handed out depends only on which are free (always the oldest), so that two
 * equal training steps use equal buffers and hit the same cached bind groups. And it can be trimmed: tfjs' own never shrinks.
 */
export class BufferPool {
  numBytesUsed = 0;
  numBytesAllocated = 0;
  private readonly free = new Map<string, GPUBuffer[]>();
  private readonly age = new WeakMap<GPUBuffer, number>();
  private nextAge = 0;
  private usedBuffers = 0;
  private freeCount = 0;

  constructor(private readonly device: GPUDevice) {}

  acquireBuffer(size: number, usage: GPUBufferUsageFlags, mappedAtCreation = false, reuse = true): GPUBuffer {
    const candidates = reuse ? this.free.get(keyOf(size, usage)) : undefined;
    let buffer = candidates?.shift();
    if (buffer) {
      this.freeCount--;
    } else {
      buffer = this.device.createBuffer({ size, usage, mappedAtCreation });
      this.age.set(buffer, this.nextAge++);
      this.numBytesAllocated += size;
    }
    this.usedBuffers++;
    this.numBytesUsed += size;
    return buffer;
  }

  releaseBuffer(buffer: GPUBuffer, reuse = true): void {
    this.usedBuffers--;
    this.numBytesUsed -= buffer.size;
    if (!reuse) {
      buffer.destroy();
      this.numBytesAllocated -= buffer.size;
      return;
    }
    const key = keyOf(buffer.size, buffer.usage);
    let list = this.free.get(key);
    if (!list) this.free.set(key, (list = []));
    // Kept sorted by age; lists are short, so insertion is cheap.
    const age = this.age.get(buffer) ?? 0;
    let at = list.length;
    while (at > 0 && (this.age.get(list[at - 1]!) ?? 0) > age) at--;
    list.splice(at, 0, buffer);
    this.freeCount++;
  }

  /** Destroys every free buffer and returns the bytes given back. Call only when nothing recorded is unsubmitted. */
  trim(): number {
    let bytes = 0;
    for (const list of this.free.values()) {
      for (const buffer of list) {
        bytes += buffer.size;
        buffer.destroy();
      }
    }
    this.free.clear();
    this.freeCount = 0;
    this.numBytesAllocated -= bytes;
    return bytes;
  }

  getNumUsedBuffers(): number {
    return this.usedBuffers;
  }

  getNumFreeBuffers(): number {
    return this.freeCount;
  }

  dispose(): void {
    this.trim();
  }
}

function keyOf(size: number, usage: GPUBufferUsageFlags): string {
  return `${size}_${usage}`;
}

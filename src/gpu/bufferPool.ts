/**
 * A pool of GPU buffers with the interface of tfjs' BufferManager.
 *
 * It differs in three ways. Which free buffer is handed out depends only on which are free (always the oldest), so that two
 * equal training steps use equal buffers and hit the same cached bind groups. It can be trimmed: tfjs' own never shrinks. And it
 * holds little more than was ever in use at once: buffers are reused for their exact size only, so that a network of many sizes
 * would let it grow by a third.
 */
export class BufferPool {
  numBytesUsed = 0;
  numBytesAllocated = 0;
  private readonly free = new Map<string, GPUBuffer[]>();
  private readonly age = new WeakMap<GPUBuffer, number>();
  private nextAge = 0;
  private usedBuffers = 0;
  /** Highest `numBytesUsed` since the last trim. */
  private mostBytesUsed = 0;
  /** Every free buffer, the longest free first, with the number of submissions when it was released. */
  private readonly released = new Map<GPUBuffer, number>();
  private submissions = 0;

  /** `slack`: bytes held beyond the most that was in use; from there on, what was free for longest is destroyed to make a buffer. */
  constructor(
    private readonly device: GPUDevice,
    private readonly slack = Infinity,
  ) {}

  /** To be called after every submission: what was released before it may be destroyed from now on. */
  onSubmit(): void {
    this.submissions++;
  }

  acquireBuffer(size: number, usage: GPUBufferUsageFlags, mappedAtCreation = false, reuse = true): GPUBuffer {
    const candidates = reuse ? this.free.get(keyOf(size, usage)) : undefined;
    let buffer = candidates?.shift();
    if (buffer) {
      this.released.delete(buffer);
    } else {
      this.makeRoom(size);
      buffer = this.device.createBuffer({ size, usage, mappedAtCreation });
      this.age.set(buffer, this.nextAge++);
      this.numBytesAllocated += size;
    }
    this.usedBuffers++;
    this.numBytesUsed += size;
    this.mostBytesUsed = Math.max(this.mostBytesUsed, this.numBytesUsed);
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
    this.released.set(buffer, this.submissions);
  }

  private makeRoom(size: number): void {
    const allowed = Math.max(this.mostBytesUsed, this.numBytesUsed + size) + this.slack;
    for (const [buffer, submissions] of this.released) {
      // A command that is not submitted yet may still use it, and all after it.
      if (this.numBytesAllocated + size <= allowed || submissions === this.submissions) return;
      const list = this.free.get(keyOf(buffer.size, buffer.usage))!;
      list.splice(list.indexOf(buffer), 1);
      this.released.delete(buffer);
      this.numBytesAllocated -= buffer.size;
      buffer.destroy();
    }
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
    this.mostBytesUsed = this.numBytesUsed;
    this.released.clear();
    this.numBytesAllocated -= bytes;
    return bytes;
  }

  getNumUsedBuffers(): number {
    return this.usedBuffers;
  }

  getNumFreeBuffers(): number {
    return this.released.size;
  }

  dispose(): void {
    this.trim();
  }
}

function keyOf(size: number, usage: GPUBufferUsageFlags): string {
  return `${size}_${usage}`;
}

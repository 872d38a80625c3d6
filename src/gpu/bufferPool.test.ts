// Plan: buffers are reused for their size, the oldest first; beyond the slack what was free for longest goes, but nothing that a
// command which is not submitted may use; a trim empties the pool.
import { expect, test } from 'vitest';
import { BufferPool } from './bufferPool.ts';

const usage = 128;

/** A device that knows which of its buffers are alive. */
function fakeDevice(): { readonly device: GPUDevice; readonly alive: Set<GPUBuffer> } {
  const alive = new Set<GPUBuffer>();
  const createBuffer = ({ size }: GPUBufferDescriptor): GPUBuffer => {
    const buffer = { size, usage, destroy: () => void alive.delete(buffer) } as unknown as GPUBuffer;
    alive.add(buffer);
    return buffer;
  };
  return { device: { createBuffer } as unknown as GPUDevice, alive };
}

test('reuses the oldest buffer of a size, and no other size', () => {
  const { device, alive } = fakeDevice();
  const pool = new BufferPool(device);
  const [first, second] = [pool.acquireBuffer(100, usage), pool.acquireBuffer(100, usage)];
  pool.releaseBuffer(second);
  pool.releaseBuffer(first);
  expect(pool.acquireBuffer(100, usage)).toBe(first);
  pool.acquireBuffer(104, usage);
  expect(alive.size).toBe(3);
  expect([pool.numBytesUsed, pool.numBytesAllocated, pool.getNumFreeBuffers()]).toEqual([204, 304, 1]);
});

test('holds at most the slack beyond what was in use, of what is submitted', () => {
  const { device, alive } = fakeDevice();
  const pool = new BufferPool(device, 50);
  const [a, b] = [pool.acquireBuffer(100, usage), pool.acquireBuffer(60, usage)];
  pool.releaseBuffer(a);
  pool.releaseBuffer(b);
  // 160 bytes were in use, so 210 may be held; but the commands that use a and b are not submitted.
  const c = pool.acquireBuffer(90, usage);
  expect([...alive]).toEqual([a, b, c]);
  pool.onSubmit();
  const d = pool.acquireBuffer(30, usage);
  expect([...alive]).toEqual([b, c, d]);
  expect(pool.numBytesAllocated).toBe(180);
  pool.trim();
  expect([...alive]).toEqual([c, d]);
  expect([pool.numBytesAllocated, pool.getNumFreeBuffers(), pool.getNumUsedBuffers()]).toEqual([120, 0, 2]);
});

/** What a trainer remembers, off the GPU and back, bit for bit. */
import { defined, invariant } from '../core/invariant.ts';
import { readTensor, writeTensor, type Tensor } from '../gpu/ops.ts';

export type StateBuffer = Float32Array<ArrayBuffer> | Uint8Array<ArrayBuffer> | Int32Array<ArrayBuffer>;

/** By name: parameters, what the optimizer remembers, the average. */
export type TrainerState = ReadonlyMap<string, StateBuffer>;

/** A tensor's bytes as they lie on the GPU. */
export async function bytesOf(t: Tensor): Promise<Uint8Array<ArrayBuffer>> {
  const { buffer, byteOffset, byteLength } = await readTensor(t);
  return new Uint8Array(buffer as ArrayBuffer, byteOffset, byteLength);
}

/** Overwrites a tensor with the bytes of that name. */
export function restoreBytes(t: Tensor, name: string, state: TrainerState): void {
  const bytes = defined(state.get(name), `${name} of the state`);
  invariant(bytes.byteLength === t.size * 4, 'The state belongs to another trainer', {
    name,
    saved: bytes.byteLength,
    expected: t.size * 4,
  });
  // Copied, so that it begins at a multiple of four; as floats, because they are only passed on.
  writeTensor(t, new Float32Array(new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength).slice().buffer));
}

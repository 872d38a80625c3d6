/** What a trainer remembers, off the GPU and back, bit for bit. */
import { LoratoryError } from '../core/errors.ts';
import { readTensor, writeTensor, type Tensor } from '../gpu/ops.ts';

export type StateBuffer = Float32Array<ArrayBuffer> | Uint8Array<ArrayBuffer> | Int32Array<ArrayBuffer>;

/** By name: parameters, what the optimizer remembers, the average. */
export type TrainerState = ReadonlyMap<string, StateBuffer>;

/**
 * A checkpoint's state is not laid out as the trainer's that is to go on with it: an older version wrote it. Adafactor once saw packed q, k and v as
 * one matrix; the three's own means cannot be told from the means that it kept.
 */
export class StateLayoutError extends LoratoryError {
  readonly code = 'state-layout';

  /** `saved`: bytes; null where there is nothing of that name. */
  constructor(name: string, saved: number | null, expected: number) {
    super(
      `The run cannot be gone on with: its checkpoint holds ${saved === null ? 'nothing' : `${saved} bytes`} of ${name}, where this version keeps ${expected} bytes.`,
      'An older version wrote it, or other settings. Start a new run with its settings; what this one has learnt stays in its adapter, which can be drawn with and exported.',
      { name, saved, expected },
    );
  }
}

/** A tensor's bytes as they lie on the GPU. */
export async function bytesOf(t: Tensor): Promise<Uint8Array<ArrayBuffer>> {
  const { buffer, byteOffset, byteLength } = await readTensor(t);
  return new Uint8Array(buffer as ArrayBuffer, byteOffset, byteLength);
}

/** Overwrites a tensor with the bytes of that name. Throws {@link StateLayoutError}. */
export function restoreBytes(t: Tensor, name: string, state: TrainerState): void {
  const bytes = state.get(name);
  if (bytes?.byteLength !== t.size * 4) throw new StateLayoutError(name, bytes?.byteLength ?? null, t.size * 4);
  // Copied, so that it begins at a multiple of four; as floats, because they are only passed on.
  writeTensor(t, new Float32Array(new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength).slice().buffer));
}

/**
 * A checkpoint: all that a training needs in order to go on as if it had never stopped, as one safetensors file.
 *
 * Tensors: what the trainer's state consists of, in int32 or as raw bytes (`state.values.0`, `state.optimizer.0`, ...: see
 * {@link LoraTrainer.readState}), and the run's history so far: `history.losses` [steps], and an entry for each picture of each
 * step in `history.steps`, `history.images`, `history.timesteps` (int32) and `history.exampleLosses`.
 * Metadata: `format` = `loratory-checkpoint-1`; `position`, a JSON of {@link Position}; `checksum`, SHA-256 in hex of the whole
 * file with 64 zeros in the checksum's place. A file that was cut short or changed is refused, never guessed at.
 */
import { LoratoryError } from '../core/errors.ts';
import { bytesSource } from '../core/files.ts';
import { invariant } from '../core/invariant.ts';
import { encodeSafetensors, openSafetensors, type SafetensorsFile } from '../formats/safetensors.ts';
import type { StateBuffer, TrainerState } from './trainerState.ts';

/** Where a training stands. */
export interface Position {
  /** Optimizer steps done. */
  readonly globalStep: number;
  /** What the scheduled learning rate is multiplied by: halved after every roll-back. */
  readonly learningRateFactor: number;
  /** Steps, 1-based, at which numbers overflowed and the run was rolled back. */
  readonly rollbacks: readonly number[];
}

/** The losses so far. Entries of the last four arrays belong together: a picture of a step. */
export interface History {
  readonly losses: Float32Array<ArrayBuffer>;
  /** 1-based. */
  readonly steps: Int32Array<ArrayBuffer>;
  readonly images: Int32Array<ArrayBuffer>;
  readonly timesteps: Int32Array<ArrayBuffer>;
  readonly exampleLosses: Float32Array<ArrayBuffer>;
}

export interface Checkpoint {
  readonly position: Position;
  /** The trainer's state by name. */
  readonly state: TrainerState;
  readonly history: History;
}

/** A stored checkpoint cannot be used. */
export class CheckpointDamagedError extends LoratoryError {
  readonly code = 'checkpoint-damaged';

  constructor(name: string, reason: string, options?: ErrorOptions) {
    super(
      `The checkpoint ${name} is damaged: ${reason}.`,
      'The checkpoint before it is used; the steps in between are trained again.',
      { name, reason },
      options,
    );
  }
}

type StateTensor = Float32Array<ArrayBuffer> | StateBuffer;

const format = 'loratory-checkpoint-1';
const noChecksum = '0'.repeat(64);
const historyNames = ['losses', 'steps', 'images', 'timesteps', 'exampleLosses'] as const;

/** The file of a checkpoint. The same checkpoint always gives the same bytes. */
export async function encodeCheckpoint({ position, state, history }: Checkpoint): Promise<Uint8Array<ArrayBuffer>> {
  const named: [string, StateTensor][] = [
    ...Array.from(state, ([name, data]): [string, StateTensor] => [`state.${name}`, data]),
    ...historyNames.map((name): [string, StateTensor] => [`history.${name}`, history[name]]),
  ];
  const bytes = encodeSafetensors(
    named.map(([name, data]) => ({ name, dtype: dtypeOf(data), shape: [data.length], data })),
    { format, position: JSON.stringify(position), checksum: noChecksum },
  );
  bytes.set(new TextEncoder().encode(await sha256(bytes)), checksumAt(bytes, noChecksum));
  return bytes;
}

/**
 * Reads a checkpoint's file and verifies it. `bytes` are the caller's and come back unchanged.
 *
 * @throws {CheckpointDamagedError} naming it.
 */
export async function decodeCheckpoint(name: string, bytes: Uint8Array<ArrayBuffer>): Promise<Checkpoint> {
  try {
    const file = await openSafetensors(bytesSource(name, bytes));
    if (file.metadata['format'] !== format) throw new CheckpointDamagedError(name, `it is no ${format}`);
    await verify(name, bytes, file.metadata['checksum'] ?? '');
    const state = new Map<string, StateBuffer>();
    for (const tensor of file.names()) {
      if (tensor.startsWith('state.')) state.set(tensor.slice('state.'.length), await read(file, tensor));
    }
    const history = Object.fromEntries(
      await Promise.all(historyNames.map(async (part) => [part, await read(file, `history.${part}`)] as const)),
    ) as unknown as History;
    return { position: JSON.parse(file.metadata['position'] ?? '') as Position, state, history };
  } catch (error) {
    if (error instanceof CheckpointDamagedError) throw error;
    throw new CheckpointDamagedError(name, error instanceof Error ? error.message.replace(/\.$/, '') : String(error), {
      cause: error,
    });
  }
}

async function verify(name: string, bytes: Uint8Array<ArrayBuffer>, checksum: string): Promise<void> {
  const at = /^[0-9a-f]{64}$/.test(checksum) ? checksumAt(bytes, checksum) : -1;
  if (at < 0) throw new CheckpointDamagedError(name, 'it has no checksum');
  const zeroed = bytes.slice();
  zeroed.fill(0x30, at, at + 64);
  if ((await sha256(zeroed)) !== checksum)
    throw new CheckpointDamagedError(name, 'its checksum does not fit its bytes');
}

/** Where the checksum's text lies in the header; -1 if it does not. */
function checksumAt(bytes: Uint8Array<ArrayBuffer>, checksum: string): number {
  const headerBytes = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true));
  // Latin-1 keeps one character a byte, whatever else stands in the header.
  const header = new TextDecoder('latin1').decode(bytes.subarray(8, 8 + headerBytes));
  const at = header.indexOf(`"checksum":"${checksum}"`);
  return at < 0 ? -1 : 8 + at + '"checksum":"'.length;
}

async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

function dtypeOf(data: StateTensor): 'F32' | 'I32' | 'U8' {
  if (data instanceof Float32Array) return 'F32';
  return data instanceof Int32Array ? 'I32' : 'U8';
}

async function read(file: SafetensorsFile, name: string): Promise<StateTensor> {
  const { dtype } = file.info(name);
  // Copied, so that the values are aligned and do not hold the whole file.
  const bytes = (await file.readBytes(name)).slice();
  if (dtype === 'F32') return new Float32Array(bytes.buffer);
  if (dtype === 'I32') return new Int32Array(bytes.buffer);
  invariant(dtype === 'U8', `${name} has a dtype of checkpoints`, { dtype });
  return bytes;
}

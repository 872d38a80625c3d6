/** What a run goes on from: the newest of its stored checkpoints that is whole. */
import { type Checkpoint, CheckpointDamagedError, decodeCheckpoint } from '../trainer/checkpoint.ts';

export interface FoundCheckpoint {
  /** Null if no checkpoint is whole: the run begins anew, and by its seed learns the same again. */
  readonly checkpoint: Checkpoint | null;
  /** Newer ones that were passed over, and why. */
  readonly damaged: readonly { readonly globalStep: number; readonly error: CheckpointDamagedError }[];
}

/** Reads checkpoints of `steps` from the newest back until one is whole. `read` gives undefined for one that is gone meanwhile. */
export async function newestCheckpoint(
  steps: readonly number[],
  read: (globalStep: number) => Promise<Uint8Array<ArrayBuffer> | undefined>,
): Promise<FoundCheckpoint> {
  const damaged: FoundCheckpoint['damaged'][number][] = [];
  for (const globalStep of steps.toSorted((a, b) => b - a)) {
    try {
      const bytes = await read(globalStep);
      if (bytes) return { checkpoint: await decodeCheckpoint(`of step ${globalStep}`, bytes), damaged };
    } catch (error) {
      // A browser may fail to read what its disk lost: then, too, the one before is tried.
      const known = error instanceof CheckpointDamagedError;
      damaged.push({
        globalStep,
        error: known
          ? error
          : new CheckpointDamagedError(`of step ${globalStep}`, 'the browser cannot read it', { cause: error }),
      });
    }
  }
  return { checkpoint: null, damaged };
}

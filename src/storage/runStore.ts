/**
 * Training runs: what the page lists, the trained adapter, the sample grid and the checkpoint to resume from.
 *
 * Records: ['run', id] {@link RunRecord}; ['request', id] TrainRequest; ['adapter', id] Blob; ['checkpoint', id, globalStep]
 * {@link CheckpointRecord}; ['record', id] TrainRecord; ['sample', id, globalStep] SampleRow.
 * A step's numbers and its weights are written in one transaction, so a run that is killed resumes from a state that existed.
 */
import { LoratoryError } from '../core/errors.ts';
import { completeTrainOptions } from '../core/trainOptionsJson.ts';
import type { CheckpointInfo, QueuedRun, SampleRow, StoredRun, TrainRecord, TrainRequest } from '../worker/protocol.ts';
import { putBackIntoQueue, takeFromQueue } from './queueStore.ts';
import { type RecordKey, Records, type RecordsOptions, request, under } from './records.ts';

/** No such run in this browser. */
export class RunNotStoredError extends LoratoryError {
  readonly code = 'run-not-stored';

  constructor(id: string) {
    super(`The run ${id} is not in this browser.`, 'Reload the page: another tab may have deleted it.', { id });
  }
}

/** The run has not got as far as an adapter. */
export class AdapterNotStoredError extends LoratoryError {
  readonly code = 'adapter-not-stored';

  constructor(id: string, globalStep?: number) {
    super(
      globalStep === undefined
        ? `The run ${id} has no trained adapter yet.`
        : `The run ${id} has no adapter of step ${globalStep}.`,
      globalStep === undefined ? 'Train at least one step, or choose another run.' : 'Choose another of its steps.',
      { id, globalStep },
    );
  }
}

/** The run no longer has this checkpoint. */
export class CheckpointNotStoredError extends LoratoryError {
  readonly code = 'checkpoint-not-stored';

  constructor(id: string, globalStep: number) {
    super(
      `The checkpoint of step ${globalStep} is not in this browser.`,
      'Choose another one: only the last ones of a run are kept.',
      { id, globalStep },
    );
  }
}

interface RunRecord {
  readonly run: StoredRun;
  /** When it was deleted, in milliseconds since 1970; null while it is listed. */
  readonly removedAt: number | null;
}

/** The heavy parts of a run. What is not given stays as it was. */
export interface RunParts {
  /** A .safetensors file. */
  readonly adapter?: Uint8Array<ArrayBuffer>;
  readonly checkpoint?: NewCheckpoint;
  /** Losses picture by picture. */
  readonly record?: TrainRecord;
  /** What the run was asked to do, to go on with it. */
  readonly request?: TrainRequest;
  /** What waited in the queue as this run, and is taken out of it; throws QueuedRunGoneError if it is not there. */
  readonly fromQueue?: QueuedRun;
}

export interface NewCheckpoint {
  readonly globalStep: number;
  /** Adapter, optimizer and position, in the trainer's own form. */
  readonly state: Uint8Array<ArrayBuffer>;
  /** Of all the checkpoints' steps, this one's among them, those to keep. */
  readonly keep: (steps: readonly number[]) => readonly number[];
}

interface CheckpointRecord {
  readonly info: CheckpointInfo;
  readonly state: Blob;
  /** The adapter of that step, as a .safetensors file. */
  readonly adapter: Blob | null;
}

/** A run as an older version may have stored it: options that it did not know are at their defaults. */
function upToDate(run: StoredRun): StoredRun {
  return { ...run, options: completeTrainOptions(run.options) };
}

const KINDS = ['run', 'request', 'adapter', 'checkpoint', 'record', 'sample'] as const;

/** The runs, the latest first. Writes throw StorageQuotaError when they do not fit. */
export class RunStore {
  readonly #records: Records;

  constructor(options: RecordsOptions = {}) {
    this.#records = new Records(options.database ?? 'loratory-runs', options.storage);
  }

  /** The runs, without those that were deleted, the latest first. */
  async list(): Promise<StoredRun[]> {
    const records = await this.#records.valuesUnder<RunRecord>(['run']);
    return records
      .filter(({ removedAt }) => removedAt === null)
      .map(({ run }) => upToDate(run))
      .sort((a, b) => b.startedAt - a.startedAt || (a.id < b.id ? -1 : 1));
  }

  /** Throws {@link RunNotStoredError}. */
  async get(id: string): Promise<StoredRun> {
    const record = await this.#records.get<RunRecord>(['run', id]);
    if (record === undefined) throw new RunNotStoredError(id);
    return upToDate(record.run);
  }

  /**
   * Writes a run's state, all or nothing: a browser that dies meanwhile leaves what was there before. A checkpoint's coming removes those
   * of later steps, which belong to another course of the run, and those that are not to be kept. The name of a run that is stored already is kept: the person may have renamed it
   * while it trained; so is whether it was deleted.
   */
  async save(run: StoredRun, parts: RunParts = {}): Promise<void> {
    const adapter = parts.adapter && binary(parts.adapter);
    const bytes = (adapter?.size ?? 0) + (parts.checkpoint?.state.length ?? 0);
    await this.#records.ensureRoom(bytes);
    await this.#records.transact(async (store) => {
      if (parts.fromQueue) await takeFromQueue(store, parts.fromQueue);
      const stored = await request<RunRecord | undefined>(store.get(['run', run.id]));
      const record: RunRecord = {
        run: { ...run, name: stored?.run.name ?? run.name },
        removedAt: stored?.removedAt ?? null,
      };
      store.put(record, ['run', run.id]);
      if (adapter) store.put(adapter, ['adapter', run.id]);
      if (parts.record) store.put(parts.record, ['record', run.id]);
      if (parts.request) store.put(parts.request, ['request', run.id]);
      if (parts.checkpoint) await putCheckpoint(store, run.id, parts.checkpoint, adapter ?? null);
    }, bytes);
  }

  /** Throws {@link RunNotStoredError}. */
  async rename(id: string, name: string): Promise<void> {
    await this.#change(id, (record) => ({ ...record, run: { ...record.run, name } }));
  }

  /** The adapter's .safetensors file, the present one or that of a checkpoint. Throws {@link AdapterNotStoredError}. */
  async adapter(id: string, globalStep?: number): Promise<Uint8Array<ArrayBuffer>> {
    const isPresent = globalStep === undefined || (await this.get(id)).globalStep === globalStep;
    const blob = isPresent
      ? await this.#records.get<Blob>(['adapter', id])
      : (await this.#records.get<CheckpointRecord>(['checkpoint', id, globalStep]))?.adapter;
    if (!blob) throw new AdapterNotStoredError(id, globalStep);
    return bytesOf(blob);
  }

  /** The steps that {@link adapter} can give, ascending. */
  async steps(id: string): Promise<number[]> {
    const hasPresent = (await this.#records.keysUnder(['adapter', id])).length > 0;
    const present = hasPresent ? [(await this.get(id)).globalStep] : [];
    const kept = await this.#records.valuesUnder<CheckpointRecord>(['checkpoint', id]);
    const steps = kept.flatMap(({ info, adapter }) => (adapter ? [info.globalStep] : []));
    return [...new Set([...present, ...steps])].sort((a, b) => a - b);
  }

  /** What the run was asked to do; undefined for runs of versions that did not keep it. */
  async request(id: string): Promise<TrainRequest | undefined> {
    const stored = await this.#records.get<TrainRequest>(['request', id]);
    return stored && { ...stored, options: completeTrainOptions(stored.options) };
  }

  /** The checkpoints of a run, by step. */
  async checkpoints(id: string): Promise<CheckpointInfo[]> {
    return (await this.#records.valuesUnder<CheckpointRecord>(['checkpoint', id])).map(({ info }) => info);
  }

  /** A checkpoint's state as it was saved; undefined if there is none of that step. */
  async checkpoint(id: string, globalStep: number): Promise<Uint8Array<ArrayBuffer> | undefined> {
    const record = await this.#records.get<CheckpointRecord>(['checkpoint', id, globalStep]);
    return record && bytesOf(record.state);
  }

  /** A checkpoint and the adapter in it, to begin another run with. Throws {@link CheckpointNotStoredError}. */
  async checkpointFiles(
    id: string,
    globalStep: number,
  ): Promise<{ readonly state: Uint8Array<ArrayBuffer>; readonly adapter: Uint8Array<ArrayBuffer> | null }> {
    const record = await this.#records.get<CheckpointRecord>(['checkpoint', id, globalStep]);
    if (record === undefined) throw new CheckpointNotStoredError(id, globalStep);
    const { state, adapter } = record;
    return { state: await bytesOf(state), adapter: adapter && (await bytesOf(adapter)) };
  }

  /** Deletes a run for good that never came to anything. `putBack`: what it was in the queue, if it is to wait there again. */
  async discard(id: string, putBack: QueuedRun | null = null): Promise<void> {
    await this.#records.transact(async (store) => {
      deleteRun(store, id);
      if (putBack) await putBackIntoQueue(store, putBack);
    });
  }

  /** The losses of the run's pictures; without entries where none were kept. */
  async record(id: string): Promise<TrainRecord> {
    return (await this.#records.get<TrainRecord>(['record', id])) ?? emptyRecord();
  }

  /** Adds a row to the run's sample grid; a row of the same step is replaced. */
  async addSample(row: SampleRow): Promise<void> {
    const bytes = row.images.reduce((sum, image) => sum + image.png.size, 0);
    await this.#records.ensureRoom(bytes);
    await this.#records.put([[['sample', row.runId, row.globalStep], row]], bytes);
  }

  /** The run's sample grid, by step. */
  async samples(id: string): Promise<SampleRow[]> {
    return this.#records.valuesUnder<SampleRow>(['sample', id]);
  }

  /** Takes a run off the list, so that {@link restore} can bring it back. Throws {@link RunNotStoredError}. */
  async remove(id: string, now = Date.now()): Promise<void> {
    await this.#change(id, (record) => ({ ...record, removedAt: now }));
  }

  /** Undoes {@link remove}. Throws {@link RunNotStoredError} if it was purged. */
  async restore(id: string): Promise<void> {
    await this.#change(id, (record) => ({ ...record, removedAt: null }));
  }

  /** Deletes for good what was removed before `before` (milliseconds since 1970). For the start of a page. */
  async purgeRemoved(before: number): Promise<void> {
    await this.#records.transact(async (store) => {
      for (const { run, removedAt } of await request<RunRecord[]>(store.getAll(under(['run'])))) {
        if (removedAt !== null && removedAt < before) deleteRun(store, run.id);
      }
    });
  }

  async #change(id: string, change: (record: RunRecord) => RunRecord): Promise<void> {
    await this.#records.transact(async (store) => {
      const key: RecordKey = ['run', id];
      const record = await request<RunRecord | undefined>(store.get(key));
      if (record === undefined) throw new RunNotStoredError(id);
      store.put(change(record), key);
    });
  }
}

function emptyRecord(): TrainRecord {
  return {
    imageIds: [],
    steps: new Uint32Array(),
    images: new Uint16Array(),
    timesteps: new Uint16Array(),
    losses: new Float32Array(),
  };
}

async function bytesOf(blob: Blob): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await blob.arrayBuffer());
}

function binary(bytes: Uint8Array<ArrayBuffer>): Blob {
  return new Blob([bytes], { type: 'application/octet-stream' });
}

function deleteRun(store: IDBObjectStore, id: string): void {
  for (const kind of KINDS) store.delete(under([kind, id]));
}

async function putCheckpoint(
  store: IDBObjectStore,
  id: string,
  { globalStep, state, keep }: NewCheckpoint,
  adapter: Blob | null,
): Promise<void> {
  const info: CheckpointInfo = { globalStep, bytes: state.length + (adapter?.size ?? 0), savedAt: Date.now() };
  store.put({ info, state: binary(state), adapter } satisfies CheckpointRecord, ['checkpoint', id, globalStep]);
  const keys = await request<IDBValidKey[]>(store.getAllKeys(under(['checkpoint', id])));
  const steps = (keys as [string, string, number][]).map(([, , step]) => step).filter((step) => step <= globalStep);
  const kept = new Set(keep(steps));
  for (const key of keys as [string, string, number][]) if (!kept.has(key[2])) store.delete(key);
}

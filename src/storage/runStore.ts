/**
 * Training runs: what the page lists, the trained adapter, the sample grid and the checkpoint to resume from.
 *
 * Records: ['run', id] {@link RunRecord}; ['adapter', id], ['adapter', id, globalStep] and ['checkpoint', id] Blob; ['record', id]
 * TrainRecord; ['sample', id, globalStep] SampleRow.
 * A step's numbers and its weights are written in one transaction, so a run that is killed resumes from a state that existed.
 */
import { LoratoryError } from '../core/errors.ts';
import { completeTrainOptions } from '../core/trainOptionsJson.ts';
import type { SampleRow, StoredRun, TrainRecord } from '../worker/protocol.ts';
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

interface RunRecord {
  readonly run: StoredRun;
  /** When it was deleted, in milliseconds since 1970; null while it is listed. */
  readonly removedAt: number | null;
}

/** The heavy parts of a run. What is not given stays as it was; a checkpoint of null is deleted. */
export interface RunParts {
  /** A .safetensors file. */
  readonly adapter?: Uint8Array<ArrayBuffer>;
  /** Whether the adapter is kept under its step too, when later ones replace it. */
  readonly keepStep?: boolean;
  /** Adapter, optimizer and position, in the trainer's own form. */
  readonly checkpoint?: Blob | null;
  /** Losses picture by picture. */
  readonly record?: TrainRecord;
}

/** A run as an older version may have stored it: options that it did not know are at their defaults. */
function upToDate(run: StoredRun): StoredRun {
  return { ...run, options: completeTrainOptions(run.options) };
}

const KINDS = ['run', 'adapter', 'checkpoint', 'record', 'sample'] as const;

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
   * Writes a run's state, all or nothing. The name of a run that is stored already is kept: the person may have renamed it
   * while it trained; so is whether it was deleted.
   */
  async save(run: StoredRun, parts: RunParts = {}): Promise<void> {
    const adapter = parts.adapter && new Blob([parts.adapter], { type: 'application/octet-stream' });
    const bytes = (adapter?.size ?? 0) + (parts.checkpoint?.size ?? 0);
    await this.#records.ensureRoom(bytes);
    await this.#records.transact(async (store) => {
      const stored = await request<RunRecord | undefined>(store.get(['run', run.id]));
      const record: RunRecord = {
        run: { ...run, name: stored?.run.name ?? run.name },
        removedAt: stored?.removedAt ?? null,
      };
      store.put(record, ['run', run.id]);
      if (adapter) store.put(adapter, ['adapter', run.id]);
      if (parts.record) store.put(parts.record, ['record', run.id]);
      if (adapter && parts.keepStep) store.put(adapter, ['adapter', run.id, run.globalStep]);
      if (parts.checkpoint) store.put(parts.checkpoint, ['checkpoint', run.id]);
      if (parts.checkpoint === null) store.delete(['checkpoint', run.id]);
    }, bytes);
  }

  /** Throws {@link RunNotStoredError}. */
  async rename(id: string, name: string): Promise<void> {
    await this.#change(id, (record) => ({ ...record, run: { ...record.run, name } }));
  }

  /** The adapter's .safetensors file, the present one or that of a step that was kept. Throws {@link AdapterNotStoredError}. */
  async adapter(id: string, globalStep?: number): Promise<Uint8Array<ArrayBuffer>> {
    const isPresent = globalStep === undefined || (await this.get(id)).globalStep === globalStep;
    const blob = await this.#records.get<Blob>(isPresent ? ['adapter', id] : ['adapter', id, globalStep]);
    if (blob === undefined) throw new AdapterNotStoredError(id, globalStep);
    return new Uint8Array(await blob.arrayBuffer());
  }

  /** The steps that {@link adapter} can give, ascending. */
  async steps(id: string): Promise<number[]> {
    const keys = await this.#records.keysUnder(['adapter', id]);
    const present = (await this.get(id)).globalStep;
    const steps = keys.map((key) => (key.length === 2 ? present : Number(key[2])));
    return [...new Set(steps)].sort((a, b) => a - b);
  }

  /** What to resume from; undefined if the run has finished or has not got that far. */
  async checkpoint(id: string): Promise<Blob | undefined> {
    return this.#records.get<Blob>(['checkpoint', id]);
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
        if (removedAt !== null && removedAt < before) for (const kind of KINDS) store.delete(under([kind, run.id]));
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

/**
 * Runs that wait for their turn. They are stored, so that they outlive the page, and any tab may add to them. The one that trains takes the next
 * out in the transaction that writes it as a run, and puts it back in the one that deletes it (see runStore.ts): a page that dies loses none.
 *
 * Records, in the database of the runs: ['queue', id] {@link QueueRecord}.
 */
import { LoratoryError } from '../core/errors.ts';
import { completeTrainOptions } from '../core/trainOptionsJson.ts';
import type { QueuedRun, TrainRequest } from '../worker/protocol.ts';
import { Records, type RecordsOptions, request, under } from './records.ts';

/** A run whose turn had come is not in the queue any more. */
export class QueuedRunGoneError extends LoratoryError {
  readonly code = 'queued-run-gone';

  constructor(name: string) {
    super(`“${name}” was taken out of the queue before it began.`, 'Start the next one.', { name });
  }
}

interface QueueRecord extends QueuedRun {
  /** Place in the queue; the lowest is next. */
  readonly order: number;
}

export class QueueStore {
  readonly #records: Records;

  constructor(options: RecordsOptions = {}) {
    this.#records = new Records(options.database ?? 'loratory-runs', options.storage);
  }

  /** The next one first. */
  async list(): Promise<QueuedRun[]> {
    const records = await this.#records.valuesUnder<QueueRecord>(['queue']);
    return inOrder(records).map(({ id, request: asked }) => ({
      id,
      request: { ...asked, options: completeTrainOptions(asked.options) },
    }));
  }

  /** Puts a run at the end. */
  async add(asked: TrainRequest): Promise<void> {
    await this.#change((records) => [...records, { id: crypto.randomUUID(), request: asked, order: 0 }]);
  }

  /** Takes a run out; unknown ids are passed over. */
  async remove(id: string): Promise<void> {
    await this.#change((records) => records.filter((record) => record.id !== id));
  }

  /** Puts a run at place `to`, 0 being next. */
  async move(id: string, to: number): Promise<void> {
    await this.#change((records) => {
      const moved = records.find((record) => record.id === id);
      const others = records.filter((record) => record.id !== id);
      return moved ? others.toSpliced(to, 0, moved) : others;
    });
  }

  /** Reads, changes and writes the queue in one transaction, so that two tabs never take the same run. */
  async #change(change: (records: readonly QueueRecord[]) => readonly QueueRecord[]): Promise<void> {
    await this.#records.transact(async (store) => {
      const records = change(inOrder(await request<QueueRecord[]>(store.getAll(under(['queue'])))));
      store.delete(under(['queue']));
      records.forEach((record, order) => store.put({ ...record, order }, ['queue', record.id]));
    });
  }
}

/** In a transaction of the runs: takes a run out of the queue. Throws {@link QueuedRunGoneError}. */
export async function takeFromQueue(store: IDBObjectStore, { id, request: asked }: QueuedRun): Promise<void> {
  const record = await request<QueueRecord | undefined>(store.get(['queue', id]));
  if (record === undefined) throw new QueuedRunGoneError(asked.name);
  store.delete(['queue', id]);
}

/** In a transaction of the runs: puts a run in front of all that wait. */
export async function putBackIntoQueue(store: IDBObjectStore, { id, request: asked }: QueuedRun): Promise<void> {
  const records = await request<QueueRecord[]>(store.getAll(under(['queue'])));
  const order = Math.min(0, ...records.map((record) => record.order)) - 1;
  store.put({ id, request: asked, order } satisfies QueueRecord, ['queue', id]);
}

function inOrder(records: readonly QueueRecord[]): QueueRecord[] {
  return records.toSorted((a, b) => a.order - b.order);
}

/**
 * Runs that wait for their turn. They are stored, so that they outlive the page, and any tab may add to them: the one that trains
 * takes the next.
 *
 * Records, in the database of the runs: ['queue', id] {@link QueueRecord}.
 */
import { completeTrainOptions } from '../core/trainOptionsJson.ts';
import type { QueuedRun, TrainRequest } from '../worker/protocol.ts';
import { Records, type RecordsOptions, request, under } from './records.ts';

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

  /** Puts a run that was taken out in front of all others again. */
  async putBack({ id, request: asked }: QueuedRun): Promise<void> {
    await this.#change((records) => [{ id, request: asked, order: 0 }, ...records]);
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

  /** Takes the next run out and returns it; undefined if none waits. */
  async take(): Promise<QueuedRun | undefined> {
    let next: QueueRecord | undefined;
    await this.#change((records) => {
      [next] = records;
      return records.slice(1);
    });
    return next;
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

function inOrder(records: readonly QueueRecord[]): QueueRecord[] {
  return records.toSorted((a, b) => a.order - b.order);
}

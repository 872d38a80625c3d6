/**
 * One IndexedDB database with one object store of records under array keys such as `['sample', runId, 100]`.
 *
 * Every write is one transaction that resolves when it is on its way to the disk, so two tabs cannot interleave within one.
 * idb-keyval opens the database; its writers are not used because they settle on the first failing request, when the
 * transaction's own error (a full disk, most often) is not known yet.
 */
import { createStore, promisifyRequest } from 'idb-keyval';
import { LoratoryError } from '../core/errors.ts';
import {
  availableBytes,
  browserStorage,
  ensureRoom,
  type StorageEstimator,
  StorageQuotaError,
  StorageUnavailableError,
} from './quota.ts';

/** Where a record lies. The first part says its kind; numbers sort before strings. */
export type RecordKey = (string | number)[];

/** Options that every store of this folder takes; for tests. */
export interface RecordsOptions {
  /** Name of the database. */
  readonly database?: string;
  /** Stand-in for `navigator.storage`. */
  readonly storage?: StorageEstimator | undefined;
}

/** Reads and writes records. All methods throw {@link StorageUnavailableError} if the browser refuses its storage. */
export class Records {
  readonly #open: ReturnType<typeof createStore>;
  readonly #storage: StorageEstimator | undefined;

  constructor(database: string, storage: StorageEstimator | undefined = browserStorage()) {
    this.#open = createStore(database, 'records');
    this.#storage = storage;
  }

  /** Throws {@link StorageQuotaError} if `bytes` more are not going to fit. */
  async ensureRoom(bytes: number): Promise<void> {
    await ensureRoom(bytes, this.#storage);
  }

  /** The record under `key`. What type it has is known to the store that wrote it. */
  async get<T>(key: RecordKey): Promise<T | undefined> {
    return this.#read((store) => promisifyRequest<T | undefined>(store.get(key)));
  }

  /** All records whose keys begin with `prefix`, in the order of their keys. */
  async valuesUnder<T>(prefix: RecordKey): Promise<T[]> {
    return this.#read((store) => promisifyRequest<T[]>(store.getAll(under(prefix))));
  }

  /** All keys that begin with `prefix`, in order. */
  async keysUnder(prefix: RecordKey): Promise<RecordKey[]> {
    return this.#read((store) => promisifyRequest<IDBValidKey[]>(store.getAllKeys(under(prefix)))) as Promise<
      RecordKey[]
    >;
  }

  /** Writes all `entries` or none. `bytes` is how much that is, for the message should it not fit. */
  async put(
    entries: readonly (readonly [key: RecordKey, value: unknown])[],
    bytes: number | null = null,
  ): Promise<void> {
    await this.transact((store) => {
      for (const [key, value] of entries) store.put(value, key);
    }, bytes);
  }

  /**
   * Runs `work` in one read-write transaction: all of it is written or nothing is. `work` may await requests of this
   * store (by {@link request}) and nothing else, or the transaction ends before it does.
   */
  async transact<T>(work: (store: IDBObjectStore) => T | Promise<T>, bytes: number | null = null): Promise<T> {
    try {
      return await this.#open('readwrite', async (store) => {
        const ended = transactionEnd(store.transaction);
        let result: T;
        try {
          result = await work(store);
        } catch (error) {
          abort(store.transaction);
          // If the transaction died first, its reason is the real one; `work` has only seen the consequence.
          await ended;
          throw error;
        }
        await ended;
        return result;
      });
    } catch (error) {
      throw await this.#typed(error, bytes);
    }
  }

  async #read<T>(work: (store: IDBObjectStore) => Promise<T>): Promise<T> {
    try {
      return await this.#open('readonly', work);
    } catch (error) {
      throw await this.#typed(error, null);
    }
  }

  async #typed(error: unknown, bytes: number | null): Promise<unknown> {
    if (error instanceof LoratoryError) return error;
    if (!(error instanceof Error)) return new StorageUnavailableError(error);
    if (error.name === 'QuotaExceededError') {
      return new StorageQuotaError(bytes, await availableBytes(this.#storage), { cause: error });
    }
    // A programming error (a TypeError, say) is not the storage's fault.
    return error instanceof DOMException ? new StorageUnavailableError(error) : error;
  }
}

/** The result of a request inside {@link Records.transact}. */
export const request: <T>(request: IDBRequest<T>) => Promise<T> = promisifyRequest;

/** The range of keys that begin with `prefix`: an array sorts after every number and string. */
export function under(prefix: RecordKey): IDBKeyRange {
  return IDBKeyRange.bound(prefix, [...prefix, []]);
}

/** Resolves when the transaction has committed or we have aborted it ourselves; rejects with the reason when it failed. */
function transactionEnd(transaction: IDBTransaction): Promise<void> {
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onabort = () => (transaction.error === null ? resolve() : reject(transaction.error));
  });
}

function abort(transaction: IDBTransaction): void {
  try {
    transaction.abort();
  } catch {
    // It has ended already: by itself, with its own error.
  }
}

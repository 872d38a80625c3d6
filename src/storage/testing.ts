/** What the tests of storage and hub share. */
import type { RecordsOptions } from './records.ts';
import type { StorageEstimator } from './quota.ts';

let databases = 0;

/** Options for a store over a database that no other test uses. */
export function freshDatabase(storage?: StorageEstimator): RecordsOptions {
  databases += 1;
  return { database: `test-${databases}`, storage };
}

/** A browser's storage manager with a fixed quota and usage, in bytes. */
export function fixedStorage(quota: number, usage = 0): StorageEstimator {
  return { estimate: async () => ({ quota, usage }) };
}

/** Makes every write of a Blob into IndexedDB fail as it does on a full disk. Returns the function that undoes it. */
export function fillDisk(): () => void {
  const { prototype } = IDBObjectStore;
  const put = Object.getOwnPropertyDescriptor(prototype, 'put') ?? {};
  const replacement = function (this: IDBObjectStore, value: unknown, ...rest: unknown[]): unknown {
    if (value instanceof Blob) throw new DOMException('The disk is full.', 'QuotaExceededError');
    return Reflect.apply(put.value as () => unknown, this, [value, ...rest]);
  };
  Object.defineProperty(prototype, 'put', { ...put, value: replacement });
  return () => {
    Object.defineProperty(prototype, 'put', put);
  };
}

/** Aborts the transaction at the `fatal`th record that is written from now on, as when the browser dies meanwhile. */
export function dieAtPut(fatal: number): { readonly undo: () => void; readonly puts: () => number } {
  const { prototype } = IDBObjectStore;
  const put = Object.getOwnPropertyDescriptor(prototype, 'put') ?? {};
  let puts = 0;
  const replacement = function (this: IDBObjectStore, ...args: unknown[]): unknown {
    const written: unknown = Reflect.apply(put.value as () => unknown, this, args);
    if (++puts === fatal) this.transaction.abort();
    return written;
  };
  Object.defineProperty(prototype, 'put', { ...put, value: replacement });
  return { undo: () => void Object.defineProperty(prototype, 'put', put), puts: () => puts };
}

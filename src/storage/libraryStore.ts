/**
 * Files that pictures are drawn with and that were not made here: LoRAs, textual-inversion embeddings.
 *
 * Records: ['entry', kind, id] {@link EntryRecord}; ['file', kind, id] Blob.
 */
import { LoratoryError } from '../core/errors.ts';
import { type RecordKey, Records, type RecordsOptions, request, under } from './records.ts';

/** No such file in this browser's library. */
export class LibraryFileNotStoredError extends LoratoryError {
  readonly code = 'library-file-not-stored';

  constructor(kind: LibraryKind, id: string) {
    super(`The ${kind} file ${id} is not in this browser.`, 'Add the file again: it may have been removed.', {
      kind,
      id,
    });
  }
}

export type LibraryKind = 'lora' | 'embedding' | 'taesd';

/** What every entry of a library has; the rest is its kind's own. */
export interface LibraryEntry {
  readonly id: string;
  readonly addedAt: number;
}

interface EntryRecord<T> {
  readonly entry: T;
  /** When it was removed, in milliseconds since 1970; null while it is listed. */
  readonly removedAt: number | null;
}

/** The files of one kind, the latest first. Writes throw StorageQuotaError when they do not fit. */
export class LibraryStore<T extends LibraryEntry> {
  readonly #records: Records;

  constructor(
    private readonly kind: LibraryKind,
    options: RecordsOptions = {},
  ) {
    this.#records = new Records(options.database ?? 'loratory-library', options.storage);
  }

  async list(): Promise<T[]> {
    const records = await this.#records.valuesUnder<EntryRecord<T>>(['entry', this.kind]);
    return records
      .filter(({ removedAt }) => removedAt === null)
      .map(({ entry }) => entry)
      .sort((a, b) => b.addedAt - a.addedAt || (a.id < b.id ? -1 : 1));
  }

  /** Throws {@link LibraryFileNotStoredError}. */
  async get(id: string): Promise<T> {
    const record = await this.#records.get<EntryRecord<T>>(this.#key(id));
    if (record === undefined || record.removedAt !== null) throw new LibraryFileNotStoredError(this.kind, id);
    return record.entry;
  }

  /** Throws {@link LibraryFileNotStoredError}. */
  async file(id: string): Promise<Blob> {
    const blob = await this.#records.get<Blob>(['file', this.kind, id]);
    if (blob === undefined) throw new LibraryFileNotStoredError(this.kind, id);
    return blob;
  }

  /** Adds an entry, or brings back and replaces the one of its id. */
  async add(entry: T, file: Blob): Promise<void> {
    await this.#records.ensureRoom(file.size);
    // The bytes are copied: a dropped File is only a pointer to a file that may be moved or deleted.
    const copy = new Blob([await file.arrayBuffer()], { type: 'application/octet-stream' });
    const record: EntryRecord<T> = { entry, removedAt: null };
    await this.#records.put(
      [
        [this.#key(entry.id), record],
        [['file', this.kind, entry.id], copy],
      ],
      file.size,
    );
  }

  /** Throws {@link LibraryFileNotStoredError}. */
  async change(id: string, change: (entry: T) => T): Promise<void> {
    await this.#change(id, (record) => ({ ...record, entry: change(record.entry) }));
  }

  /** Takes files off the list, so that {@link restore} can bring them back. */
  async remove(ids: readonly string[], now = Date.now()): Promise<void> {
    for (const id of ids) await this.#change(id, (record) => ({ ...record, removedAt: now }));
  }

  /** Undoes {@link remove}. Throws {@link LibraryFileNotStoredError} for what was purged. */
  async restore(ids: readonly string[]): Promise<T[]> {
    for (const id of ids) await this.#change(id, (record) => ({ ...record, removedAt: null }));
    return Promise.all(ids.map((id) => this.get(id)));
  }

  /** Deletes for good what was removed before `before` (milliseconds since 1970). */
  async purgeRemoved(before: number): Promise<void> {
    await this.#records.transact(async (store) => {
      for (const { entry, removedAt } of await request<EntryRecord<T>[]>(store.getAll(under(['entry', this.kind])))) {
        if (removedAt === null || removedAt >= before) continue;
        store.delete(this.#key(entry.id));
        store.delete(['file', this.kind, entry.id]);
      }
    });
  }

  async #change(id: string, change: (record: EntryRecord<T>) => EntryRecord<T>): Promise<void> {
    await this.#records.transact(async (store) => {
      const record = await request<EntryRecord<T> | undefined>(store.get(this.#key(id)));
      if (record === undefined) throw new LibraryFileNotStoredError(this.kind, id);
      store.put(change(record), this.#key(id));
    });
  }

  #key(id: string): RecordKey {
    return ['entry', this.kind, id];
  }
}

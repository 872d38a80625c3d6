/**
 * Model repositories in IndexedDB, cut into chunks so that a download can resume and no file lies in memory as a whole.
 *
 * Records (one each, so that two tabs never rewrite each other's):
 *   ['model', id]                                  {@link ModelRecord}: exists only when every file is there and verified
 *   ['file', id, content, chunkBytes]              true: all chunks are there and their hash was right
 *   ['chunk', id, content, chunkBytes, index]      Blob of `chunkBytes` bytes (the last may be shorter)
 *
 * `content` names a file by its hash, not its path. A new revision of a model therefore reuses what did not change, an old
 * revision stays whole until the new one is, and a chunk can never belong to another version of its file.
 */
import { defined, invariant } from '../core/invariant.ts';
import type { FileTree } from '../core/files.ts';
import type { StoredModel } from '../worker/protocol.ts';
import {
  chunkCount,
  chunkRange,
  type ModelRecord,
  type StoredFile,
  type StoredParts,
  toStoredModel,
} from './modelRecord.ts';
import { ModelNotStoredError, modelTree } from './modelTree.ts';
import { type RecordKey, Records, type RecordsOptions, request, under } from './records.ts';

const chunkKey = (id: string, file: StoredFile, index: number): RecordKey => [...chunksKey(id, file), index];
const chunksKey = (id: string, file: StoredFile): RecordKey => ['chunk', id, file.content, file.chunkBytes];
const fileKey = (id: string, file: StoredFile): RecordKey => ['file', id, file.content, file.chunkBytes];

/** Models kept in this browser. Writes throw StorageQuotaError when they do not fit. */
export class ModelStore {
  readonly #records: Records;

  constructor(options: RecordsOptions = {}) {
    this.#records = new Records(options.database ?? 'loratory-models', options.storage);
  }

  /** All complete models, by id. */
  async list(): Promise<StoredModel[]> {
    return (await this.#records.valuesUnder<ModelRecord>(['model'])).map(toStoredModel);
  }

  /** The record of a complete model; undefined if it is not stored or not complete. */
  async find(id: string): Promise<ModelRecord | undefined> {
    return this.#records.get<ModelRecord>(['model', id]);
  }

  /** The files of a complete model. Throws {@link ModelNotStoredError}. */
  async openTree(id: string): Promise<FileTree> {
    const record = await this.find(id);
    if (record === undefined) throw new ModelNotStoredError(id);
    return modelTree(record, (file, index) => this.chunk(id, file, index));
  }

  /** Deletes a model with all that was downloaded of it, complete or not. */
  async delete(id: string): Promise<void> {
    await this.#records.transact((store) => {
      for (const kind of ['model', 'file', 'chunk']) store.delete(under([kind, id]));
    });
  }

  /** Throws StorageQuotaError if `bytes` more are not going to fit. */
  async ensureRoom(bytes: number): Promise<void> {
    await this.#records.ensureRoom(bytes);
  }

  /** What is stored of `file`. */
  async parts(id: string, file: StoredFile): Promise<StoredParts> {
    const keys = await this.#records.keysUnder(chunksKey(id, file));
    return {
      complete: (await this.#records.get(fileKey(id, file))) === true,
      chunks: new Set(keys.map((key) => Number(key.at(-1)))),
    };
  }

  /** Writes one chunk. Its length must be the one that {@link chunkRange} says. */
  async putChunk(id: string, file: StoredFile, index: number, chunk: Blob): Promise<void> {
    const { start, end } = chunkRange(file, index);
    invariant(index >= 0 && index < chunkCount(file) && chunk.size === end - start, 'A chunk has the wrong length', {
      id,
      path: file.path,
      index,
      size: chunk.size,
      expected: end - start,
    });
    await this.#records.put([[chunkKey(id, file, index), chunk]], chunk.size);
  }

  /** One chunk; undefined if it is not stored. */
  async chunk(id: string, file: StoredFile, index: number): Promise<Blob | undefined> {
    return this.#records.get<Blob>(chunkKey(id, file, index));
  }

  /** Marks a file as whole; to be called when the hash of its chunks was found right. */
  async finishFile(id: string, file: StoredFile): Promise<void> {
    await this.#records.transact(async (store) => {
      const stored = await request(store.count(under(chunksKey(id, file))));
      invariant(stored === chunkCount(file), 'A file was finished before its chunks', { id, path: file.path, stored });
      store.put(true, fileKey(id, file));
    });
  }

  /** Deletes the chunks of one file. */
  async dropFile(id: string, file: StoredFile): Promise<void> {
    await this.#records.transact((store) => {
      store.delete(fileKey(id, file));
      store.delete(under(chunksKey(id, file)));
    });
  }

  /**
   * Makes a model visible, all of its files being finished, and deletes what other revisions have left behind.
   * All in one transaction: there is no moment at which the model is half new and half old.
   */
  async commit(id: string, revision: string, files: readonly StoredFile[], savedAt: number): Promise<StoredModel> {
    const record: ModelRecord = { id, revision, files, savedAt };
    const kept = new Set(files.map((file) => JSON.stringify([file.content, file.chunkBytes])));
    await this.#records.transact(async (store) => {
      for (const file of files) {
        const finished = await request<unknown>(store.get(fileKey(id, file)));
        invariant(finished === true, 'A model was committed before its files', { id, path: file.path });
      }
      for (const kind of ['file', 'chunk']) {
        for (const key of await request(store.getAllKeys(under([kind, id])))) {
          const [, , content, chunkBytes] = key as RecordKey;
          if (!kept.has(JSON.stringify([defined(content), defined(chunkBytes)]))) store.delete(key);
        }
      }
      store.put(record, ['model', id]);
    });
    return toStoredModel(record);
  }
}

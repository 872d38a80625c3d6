/**
 * The demo model, from the server that sent the page into this browser's storage, beside the models of the Hub. Each file is
 * fetched once, when the model is first used, and verified; from then on it opens without a network, and a new version of
 * it, published with a new version of the page, replaces the old one.
 */
import { demoModel } from '../core/demoModel.ts';
import type { FileTree } from '../core/files.ts';
import { chunkCount, chunkRange, CHUNK_BYTES, type StoredFile } from '../storage/modelRecord.ts';
import type { ModelStore } from '../storage/modelStore.ts';
import type { DownloadProgress } from '../worker/protocol.ts';
import { type BuiltInFile, type BuiltInFiles, fetchFileList, fetchListedFile } from './builtInFiles.ts';
import { withModelLock } from './modelLock.ts';
import { ProgressMeter } from './progress.ts';

export interface BuiltInOptions {
  readonly signal?: AbortSignal;
  /** Bytes of all files together; not called when nothing is missing. */
  readonly onProgress?: (progress: DownloadProgress) => void;
}

const { id, name } = demoModel;

export class BuiltInModel {
  readonly #folder: URL;
  readonly #store: ModelStore;
  readonly #fetch: typeof fetch;

  /** `folder`: where files.json lies, with a slash at its end. */
  constructor(folder: URL, store: ModelStore, fetch: typeof globalThis.fetch = globalThis.fetch.bind(globalThis)) {
    this.#folder = folder;
    this.#store = store;
    this.#fetch = fetch;
  }

  /** What there is to fetch. Throws BuiltInModelUnavailableError. */
  async list(signal = new AbortController().signal): Promise<BuiltInFiles> {
    return fetchFileList(this.#folder, { fetch: this.#fetch, signal });
  }

  /**
   * Fetches what is missing. Without a network the version that is stored stays in use.
   *
   * Throws BuiltInModelUnavailableError, BuiltInModelDamagedError, StorageQuotaError and StorageUnavailableError; the signal's
   * reason when it is aborted.
   */
  async fetch({ signal = new AbortController().signal, onProgress }: BuiltInOptions = {}): Promise<void> {
    await withModelLock(id, signal, async () => {
      const stored = await this.#store.find(id);
      let list: BuiltInFiles;
      try {
        list = await this.list(signal);
      } catch (error) {
        if (stored === undefined || signal.aborted) throw error;
        return;
      }
      const missing: BuiltInFile[] = [];
      for (const file of list.files) {
        const { complete, chunks } = await this.#store.parts(id, storedFile(file));
        if (!complete || chunks.size !== chunkCount(storedFile(file))) missing.push(file);
      }
      if (stored?.revision === list.revision && missing.length === 0) return;
      await this.#download(missing, signal, onProgress);
      await this.#store.commit(id, list.revision, list.files.map(storedFile), Date.now());
    });
  }

  /** The model's files, fetched if need be. Throws what {@link fetch} throws. */
  async openTree(options: BuiltInOptions = {}): Promise<FileTree> {
    await this.fetch(options);
    return { ...(await this.#store.openTree(id)), name };
  }

  async #download(
    missing: readonly BuiltInFile[],
    signal: AbortSignal,
    onProgress: BuiltInOptions['onProgress'],
  ): Promise<void> {
    const bytes = missing.reduce((sum, { size }) => sum + size, 0);
    await this.#store.ensureRoom(bytes);
    const meter = new ProgressMeter(id, bytes, onProgress ?? (() => {}), () => performance.now());
    for (const listed of missing) {
      const onBytes = (count: number): void => meter.receive(listed.path, count);
      const contents = await fetchListedFile(this.#folder, listed, { fetch: this.#fetch, signal, onBytes });
      const file = storedFile(listed);
      for (let index = 0; index < chunkCount(file); index++) {
        const { start, end } = chunkRange(file, index);
        await this.#store.putChunk(id, file, index, new Blob([contents.subarray(start, end)]));
      }
      await this.#store.finishFile(id, file);
      meter.flush(listed.path);
    }
  }
}

function storedFile({ path, size, sha256 }: BuiltInFile): StoredFile {
  return { path, size, content: `sha256:${sha256}`, chunkBytes: CHUNK_BYTES };
}

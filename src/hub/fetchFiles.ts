/** Fetches what is missing of a set of files into storage, several ranges at a time, and verifies each file when it is whole. */
import { downloadFile } from '@huggingface/hub';
import { LoratoryError } from '../core/errors.ts';
import { defined } from '../core/invariant.ts';
import { chunkRange, type StoredFile } from '../storage/modelRecord.ts';
import type { ModelStore } from '../storage/modelStore.ts';
import { HubNetworkError, NotAHubError } from './errors.ts';
import { type HubConnection, hubFetch } from './hubFetch.ts';
import type { ProgressMeter } from './progress.ts';
import { ATTEMPTS, delayAfter } from './retry.ts';
import { verifyFile } from './verify.ts';

/** Ranges that are fetched at the same time. More hardly gets faster, and each keeps a chunk in memory. */
const PARALLEL = 4;

export interface FetchChunkOptions {
  readonly connection: HubConnection;
  /** Commit that the files are taken from. */
  readonly sha: string;
  readonly meter: ProgressMeter;
  readonly signal: AbortSignal;
}

export interface FetchFilesOptions extends FetchChunkOptions {
  readonly store: ModelStore;
}

/** A file, and the chunks of it that are still to be fetched. */
export interface MissingFile {
  readonly file: StoredFile;
  readonly missing: readonly number[];
}

/** When it resolves, every file is finished in the store. On an error the rest is called off; what is stored stays. */
export async function fetchFiles(files: readonly MissingFile[], options: FetchFilesOptions): Promise<void> {
  const { connection, store } = options;
  const { id } = connection;
  const failed = new AbortController();
  const signal = AbortSignal.any([options.signal, failed.signal]);

  const finish = async (file: StoredFile): Promise<void> => {
    await verifyFile(store, id, file, signal);
    await store.finishFile(id, file);
    options.meter.flush(file.path);
  };
  const tasks: (() => Promise<void>)[] = files.flatMap(({ file, missing }) => {
    let left = missing.length;
    if (left === 0) return [() => finish(file)];
    return missing.map((index) => async () => {
      const chunk = await fetchChunk(file, index, { ...options, signal });
      await store.putChunk(id, file, index, chunk);
      left -= 1;
      if (left === 0) await finish(file);
    });
  });

  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < tasks.length && !signal.aborted) {
      const task = defined(tasks[next]);
      next += 1;
      try {
        // One after the other is what a worker is for.
        await task();
      } catch (error) {
        failed.abort(error);
      }
    }
  };
  await Promise.all(Array.from({ length: PARALLEL }, worker));
  // The first reason: the person's own, or the first failure (the others are its consequences).
  signal.throwIfAborted();
}

/** One chunk of a file; its hash is not looked at. */
export async function fetchChunk(file: StoredFile, index: number, options: FetchChunkOptions): Promise<Blob> {
  const { connection, signal } = options;
  const { start, end } = chunkRange(file, index);
  for (let attempt = 1; ; attempt++) {
    try {
      return await fetchRange(file, start, end, options);
    } catch (error) {
      signal.throwIfAborted();
      // A typed error has had its retries; anything else is a body that broke off.
      if (error instanceof LoratoryError) throw error;
      if (attempt >= ATTEMPTS) throw new HubNetworkError(connection.id, connection.endpoint, { cause: error });
      await connection.sleep(delayAfter(attempt, null), signal);
    }
  }
}

/** Bytes [start, end) of a file. Rejects with an untyped error if the connection breaks half-way. */
async function fetchRange(file: StoredFile, start: number, end: number, options: FetchChunkOptions): Promise<Blob> {
  const { connection, sha, meter, signal } = options;
  const { id, endpoint, token } = connection;
  let received = 0;
  const onBytes = (count: number): void => {
    received += count;
    meter.receive(file.path, count);
  };
  try {
    const path = file.path.split('/').map(encodeURIComponent).join('/');
    const blob = await downloadFile({
      repo: { type: 'model', name: id },
      path: file.path,
      revision: sha,
      hubUrl: endpoint,
      fetch: hubFetch(connection, { signal, path: file.path, onBytes }),
      // Plain ranges of the CDN: xet's blocks do not fall on our chunks, and its client keeps megabytes in memory.
      xet: false,
      // Known from the list of files, which spares a request per chunk and does not end at the redirect.
      downloadInfo: { url: `${endpoint}/${id}/resolve/${sha}/${path}`, size: file.size, etag: file.content },
      ...(token === undefined ? {} : { accessToken: token }),
    });
    if (blob === null) throw new NotAHubError(id, endpoint, `it has no ${file.path}`);
    const bytes = await blob.slice(start, end).arrayBuffer();
    if (bytes.byteLength > end - start)
      throw new NotAHubError(id, endpoint, `${file.path} is longer than it announced`);
    if (bytes.byteLength < end - start)
      throw new Error(`${file.path}: ${bytes.byteLength} of ${end - start} bytes came.`);
    return new Blob([bytes]);
  } catch (error) {
    meter.discard(received);
    throw error;
  }
}

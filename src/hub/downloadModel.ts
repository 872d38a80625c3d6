/**
 * Downloads a Stable Diffusion repository from a Hub into this browser's storage.
 *
 * revision -> commit sha (pinned) -> list of files -> the files needed -> ranges into chunks -> hashes checked -> visible.
 * Whatever stops it (a closed page, a dropped line, a full disk), the chunks that were stored stay, and the next call goes on
 * from them. Nothing of a model is visible until all of it is.
 */
import { defined } from '../core/invariant.ts';
import { chunkCount, chunkRange, CHUNK_BYTES, type StoredFile, toStoredModel } from '../storage/modelRecord.ts';
import type { ModelStore } from '../storage/modelStore.ts';
import type { DownloadProgress, ModelRequest, StoredModel } from '../worker/protocol.ts';
import { chooseFiles } from './chooseFiles.ts';
import { HubNetworkError, HubRateLimitError, HubUnavailableError } from './errors.ts';
import { fetchFiles, type MissingFile } from './fetchFiles.ts';
import { connect, type HubConnection } from './hubFetch.ts';
import { listRepository, type RemoteFile, resolveRevision } from './listRepository.ts';
import { withModelLock } from './modelLock.ts';
import { ProgressMeter } from './progress.ts';
import type { Sleep } from './retry.ts';

/** What is asked for, and the `fetch` to ask with (the global one by default). */
export interface DownloadRequest extends ModelRequest {
  readonly fetch?: typeof fetch;
}

export interface DownloadOptions {
  readonly signal?: AbortSignal;
  /** Bytes of all files together; called ten times a second at most. */
  readonly onProgress?: (progress: DownloadProgress) => void;
  /** The rest is for tests. */
  readonly sleep?: Sleep;
  readonly now?: () => number;
  readonly chunkBytes?: number;
  readonly stallMs?: number;
}

/**
 * Downloads what is missing of a model and returns it when all of it is stored and verified. If no revision is asked for and
 * the Hub cannot be reached, a model that is stored already is returned as it is.
 *
 * Throws the errors of ./errors.ts, InvalidModelIdError, InvalidEndpointError, InvalidTokenError, NotAModelError,
 * StorageQuotaError and StorageUnavailableError; the signal's reason when it is aborted.
 */
export async function downloadModel(
  request: DownloadRequest,
  store: ModelStore,
  options: DownloadOptions = {},
): Promise<StoredModel> {
  const connection = connect(request, options);
  const signal = options.signal ?? new AbortController().signal;
  signal.throwIfAborted();
  return withModelLock(connection.id, signal, async () => {
    const stored = await store.find(connection.id);
    if (stored !== undefined && stored.revision === connection.revision) return toStoredModel(stored);
    let sha: string;
    try {
      sha = await resolveRevision(connection, signal);
    } catch (error) {
      if (stored !== undefined && connection.revision === 'main' && isUnreachable(error)) return toStoredModel(stored);
      throw error;
    }
    return download(connection, sha, store, options, signal);
  });
}

async function download(
  connection: HubConnection,
  sha: string,
  store: ModelStore,
  options: DownloadOptions,
  signal: AbortSignal,
): Promise<StoredModel> {
  const { id } = connection;
  const files = await neededFiles(connection, sha, options.chunkBytes ?? CHUNK_BYTES, signal);
  const totalBytes = files.reduce((sum, file) => sum + file.size, 0);
  const now = options.now ?? (() => performance.now());
  const meter = new ProgressMeter(id, totalBytes, options.onProgress ?? (() => {}), now);

  const unfinished: MissingFile[] = [];
  let missingBytes = 0;
  for (const file of files) {
    const { complete, chunks } = await store.parts(id, file);
    const indices = Array.from({ length: complete ? 0 : chunkCount(file) }, (_, index) => index);
    const missing = indices.filter((index) => !chunks.has(index));
    const bytes = missing.reduce((sum, index) => sum + chunkRange(file, index).end - chunkRange(file, index).start, 0);
    missingBytes += bytes;
    if (bytes < file.size) meter.resume(file.path, file.size - bytes);
    if (!complete) unfinished.push({ file, missing });
  }
  await store.ensureRoom(missingBytes);
  await fetchFiles(unfinished, { connection, sha, store, meter, signal });
  return store.commit(id, sha, files, Date.now());
}

/** The files to fetch: configurations first, then weights, the largest first, so that its hash is checked meanwhile. */
async function neededFiles(
  connection: HubConnection,
  sha: string,
  chunkBytes: number,
  signal: AbortSignal,
): Promise<StoredFile[]> {
  const remote = new Map<string, RemoteFile>();
  for (const file of await listRepository(connection, sha, signal)) remote.set(file.path, file);
  const chosen = chooseFiles(connection.id, [...remote.keys()]).map((path) => defined(remote.get(path), path));
  const isWeight = (file: RemoteFile): number => (file.path.endsWith('.safetensors') ? 1 : 0);
  return chosen
    .toSorted((a, b) => isWeight(a) - isWeight(b) || (isWeight(a) === 1 ? b.size - a.size : 0))
    .map((file) => ({ ...file, chunkBytes }));
}

function isUnreachable(error: unknown): boolean {
  return error instanceof HubNetworkError || error instanceof HubUnavailableError || error instanceof HubRateLimitError;
}

/** LoRA files on a Hub: searching repositories, listing what is in one, fetching one file. Nothing is asked unless a person asks. */
import { listModels } from '@huggingface/hub';
import { LoratoryError } from '../core/errors.ts';
import { defined } from '../core/invariant.ts';
import { chunkCount, CHUNK_BYTES, type StoredFile } from '../storage/modelRecord.ts';
import type { DownloadProgress, HubSearchHit } from '../worker/protocol.ts';
import { HashMismatchError, HubNetworkError, NotAHubError } from './errors.ts';
import { fetchChunk } from './fetchFiles.ts';
import { connect, type ConnectRequest, hubFetch } from './hubFetch.ts';
import { listRepository, type RemoteFile, resolveRevision } from './listRepository.ts';
import { ProgressMeter } from './progress.ts';
import { hashChunks } from './verify.ts';

/** A repository has no LoRA file, or several and none was named. */
export class LoraFileChoiceError extends LoratoryError {
  readonly code = 'lora-file-choice';

  constructor(id: string, wanted: string | undefined, paths: readonly string[]) {
    const some = paths.slice(0, 8).join(', ');
    const [message, remedy] =
      paths.length === 0
        ? [`The repository ${id} has no LoRA in .safetensors.`, 'Choose another repository.']
        : wanted === undefined
          ? [`The repository ${id} has ${paths.length} files that may be LoRAs.`, `Choose one of them: ${some}.`]
          : [`The repository ${id} has no file ${wanted}.`, `Choose one of these: ${some}.`];
    super(message, remedy, { id, wanted, paths });
  }
}

/** Larger files of a repository are models, not adapters; kohya's largest LoRAs of SD1.5 stay below. */
const largestLora = 1.5e9;

/** The files of a repository that may be LoRAs: safetensors that are no part of a whole model. */
export async function listHubLoras(
  request: ConnectRequest,
  signal: AbortSignal,
): Promise<{ readonly path: string; readonly bytes: number }[]> {
  const connection = connect(request);
  const sha = await resolveRevision(connection, signal);
  const files = await listRepository(connection, sha, signal);
  return files.filter(mayBeLora).map(({ path, size }) => ({ path, bytes: size }));
}

export interface FetchedLora {
  readonly file: Blob;
  readonly repoId: string;
  readonly path: string;
  /** Commit sha. */
  readonly revision: string;
}

/** Fetches one file and checks its hash. Throws {@link LoraFileChoiceError} and the errors of ./errors.ts and ./request.ts. */
export async function fetchHubLora(
  request: ConnectRequest & { readonly path?: string },
  { signal, onProgress }: { readonly signal: AbortSignal; readonly onProgress: (progress: DownloadProgress) => void },
): Promise<FetchedLora> {
  const connection = connect(request);
  const { id } = connection;
  const sha = await resolveRevision(connection, signal);
  const files = (await listRepository(connection, sha, signal)).filter(mayBeLora);
  const found = request.path === undefined ? onlyOne(files) : files.find(({ path }) => path === request.path);
  if (!found) {
    throw new LoraFileChoiceError(
      id,
      request.path,
      files.map(({ path }) => path),
    );
  }
  const file: StoredFile = { ...found, chunkBytes: CHUNK_BYTES };
  const meter = new ProgressMeter(id, file.size, onProgress, () => performance.now());
  const chunks: Blob[] = [];
  for (let index = 0; index < chunkCount(file); index++) {
    chunks.push(await fetchChunk(file, index, { connection, sha, meter, signal }));
  }
  const actual = await hashChunks(file, async (index) => defined(chunks[index]));
  if (actual !== file.content) throw new HashMismatchError(id, file.path, file.content, actual);
  meter.flush(file.path);
  return { file: new Blob(chunks), repoId: id, path: file.path, revision: sha };
}

/** Repositories with LoRAs of Stable Diffusion whose names match, the most downloaded first. */
export async function searchHubLoras(
  { query, endpoint, token, limit = 20 }: { query: string; endpoint: string; token?: string; limit?: number },
  signal: AbortSignal,
  fetchWith?: typeof fetch,
): Promise<HubSearchHit[]> {
  // The connection's id stands in its error messages only: a search has none.
  const connection = connect({
    id: 'search/loras',
    endpoint,
    ...(token === undefined ? {} : { token }),
    ...(fetchWith ? { fetch: fetchWith } : {}),
  });
  const hits: HubSearchHit[] = [];
  try {
    const found = listModels({
      search: { query, task: 'text-to-image', tags: ['lora'] },
      sort: 'downloads',
      limit,
      additionalFields: ['tags'],
      hubUrl: connection.endpoint,
      fetch: hubFetch(connection, { signal }),
      ...(connection.token === undefined ? {} : { accessToken: connection.token }),
    });
    for await (const { name, downloads, likes, updatedAt, gated, tags } of found) {
      if (typeof name !== 'string') throw new NotAHubError('a search', endpoint, 'its list of models has no names');
      hits.push({
        id: name,
        downloads,
        likes,
        updatedAt: updatedAt.getTime() || 0,
        isGated: gated !== false && gated !== undefined,
        baseModels: baseModelsOf(tags ?? []),
      });
    }
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof LoratoryError) throw error;
    if (error instanceof SyntaxError) throw new NotAHubError('a search', endpoint, 'its answer is not JSON');
    throw new HubNetworkError('a search', endpoint, { cause: error });
  }
  return hits;
}

/** `base_model:owner/name` and `base_model:adapter:owner/name`. */
function baseModelsOf(tags: readonly string[]): string[] {
  const names = tags.flatMap((tag) => /^base_model:(?:adapter:)?([^:]+\/[^:]+)$/.exec(tag)?.[1] ?? []);
  return [...new Set(names)];
}

function mayBeLora({ path, size }: RemoteFile): boolean {
  return (
    /\.safetensors$/i.test(path) && size <= largestLora && !/(^|\/)(vae|safety_checker|feature_extractor)\//.test(path)
  );
}

function onlyOne<T>(list: readonly T[]): T | undefined {
  return list.length === 1 ? list[0] : undefined;
}

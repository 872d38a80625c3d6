/** What a repository holds at one commit: the sha that a revision stands for, and every file with its size and hash. */
import { listFiles, modelInfo } from '@huggingface/hub';
import { LoratoryError } from '../core/errors.ts';
import { HubNetworkError, NotAHubError } from './errors.ts';
import { type HubConnection, hubFetch } from './hubFetch.ts';
import { ATTEMPTS, delayAfter } from './retry.ts';

/** A file as the Hub announces it. */
export interface RemoteFile {
  readonly path: string;
  /** Bytes. */
  readonly size: number;
  /** `sha256:<hex>` for LFS files; `git-sha1:<hex>`, the hash of the git blob, for the others. */
  readonly content: string;
}

/** The commit sha that the connection's revision stands for at the moment. */
export async function resolveRevision(connection: HubConnection, signal: AbortSignal): Promise<string> {
  const { sha } = await ask(connection, signal, (common) =>
    modelInfo({ name: connection.id, revision: connection.revision, additionalFields: ['sha'], ...common }),
  );
  if (typeof sha !== 'string' || !/^[0-9a-f]{40}$/.test(sha)) {
    throw new NotAHubError(connection.id, connection.endpoint, 'it names no commit');
  }
  return sha;
}

/** All files of the repository at that commit. */
export async function listRepository(
  connection: HubConnection,
  sha: string,
  signal: AbortSignal,
): Promise<RemoteFile[]> {
  return ask(connection, signal, async (common) => {
    const files: RemoteFile[] = [];
    const repo = { type: 'model', name: connection.id } as const;
    for await (const { type, path, size, oid, lfs } of listFiles({ repo, revision: sha, recursive: true, ...common })) {
      if (type !== 'file') continue;
      const content = lfs === undefined ? `git-sha1:${oid}` : `sha256:${lfs.oid}`;
      const bytes = lfs?.size ?? size;
      // The types are the library's hope; what the endpoint really sent is looked at here.
      const isSane = typeof path === 'string' && Number.isSafeInteger(bytes) && bytes >= 0;
      if (!isSane || !/^(git-sha1:[0-9a-f]{40}|sha256:[0-9a-f]{64})$/.test(content)) {
        throw new NotAHubError(connection.id, connection.endpoint, 'its list of files has no sizes or hashes');
      }
      files.push({ path, size: bytes, content });
    }
    return files;
  });
}

interface CommonParameters {
  hubUrl: string;
  fetch: typeof fetch;
  accessToken?: string;
}

async function ask<T>(
  connection: HubConnection,
  signal: AbortSignal,
  question: (common: CommonParameters) => Promise<T>,
): Promise<T> {
  const { id, endpoint, token } = connection;
  const common = {
    hubUrl: endpoint,
    fetch: hubFetch(connection, { signal }),
    ...(token === undefined ? {} : { accessToken: token }),
  };
  for (let attempt = 1; ; attempt++) {
    try {
      return await question(common);
    } catch (error) {
      signal.throwIfAborted();
      // A typed error has had its retries.
      if (error instanceof LoratoryError) throw error;
      if (error instanceof SyntaxError) {
        throw new NotAHubError(id, endpoint, 'its answer is not JSON', { cause: error });
      }
      // What is left is an answer that broke off half-way.
      if (attempt >= ATTEMPTS) throw new HubNetworkError(id, endpoint, { cause: error });
      await connection.sleep(delayAfter(attempt, null), signal);
    }
  }
}

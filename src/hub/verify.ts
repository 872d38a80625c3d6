/**
 * The hash of a file as it lies in storage, chunk by chunk. WebCrypto cannot hash in pieces and WebAssembly would need a
 * looser content security policy, so this is plain JavaScript.
 */
import { sha1 } from '@noble/hashes/legacy.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex, utf8ToBytes } from '@noble/hashes/utils.js';
import { defined } from '../core/invariant.ts';
import { chunkCount, type StoredFile } from '../storage/modelRecord.ts';
import type { ModelStore } from '../storage/modelStore.ts';
import { HashMismatchError } from './errors.ts';

/**
 * Checks a file whose chunks are all stored against its announced hash. If it is wrong, the chunks are deleted and
 * {@link HashMismatchError} is thrown.
 */
export async function verifyFile(store: ModelStore, id: string, file: StoredFile, signal: AbortSignal): Promise<void> {
  const actual = await hashChunks(file, async (index) => {
    signal.throwIfAborted();
    return defined(await store.chunk(id, file, index), `chunk ${index} of ${file.path}`);
  });
  if (actual === file.content) return;
  await store.dropFile(id, file);
  throw new HashMismatchError(id, file.path, file.content, actual);
}

/** The hash of a file's chunks, of the kind and in the form that the file announces. */
export async function hashChunks(file: StoredFile, chunk: (index: number) => Promise<Blob>): Promise<string> {
  const algorithm = file.content.slice(0, file.content.indexOf(':'));
  // Git hashes a header before the contents: https://git-scm.com/book/en/v2/Git-Internals-Git-Objects
  const hash = algorithm === 'sha256' ? sha256.create() : sha1.create().update(utf8ToBytes(`blob ${file.size}\0`));
  for (let index = 0; index < chunkCount(file); index++) {
    hash.update(new Uint8Array(await (await chunk(index)).arrayBuffer()));
  }
  return `${algorithm}:${bytesToHex(hash.digest())}`;
}

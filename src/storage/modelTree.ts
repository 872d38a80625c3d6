/** A stored model as a {@link FileTree}: reads across chunks, touching only those that a range needs. */
import type { ByteSource, FileTree } from '../core/files.ts';
import { LoratoryError } from '../core/errors.ts';
import type { ModelRecord, StoredFile } from './modelRecord.ts';

/** No such model in this browser, or not all of it. */
export class ModelNotStoredError extends LoratoryError {
  readonly code = 'model-not-stored';

  constructor(id: string) {
    super(`The model ${id} is not in this browser.`, 'Download it in the Model panel first.', { id });
  }
}

/** The model has no file of that path. */
export class StoredFileNotFoundError extends LoratoryError {
  readonly code = 'stored-file-not-found';

  constructor(id: string, path: string) {
    super(
      `The model ${id} has no file ${path}.`,
      'Choose another model: this one lacks a part that Stable Diffusion needs.',
      { id, path },
    );
  }
}

/** Bytes that were stored are gone or cannot be read: the browser or a cleaner has deleted them. */
export class StoredFileDamagedError extends LoratoryError {
  readonly code = 'stored-file-damaged';

  constructor(id: string, path: string, options?: ErrorOptions) {
    super(
      `A part of ${path} of the model ${id} can no longer be read from this browser's storage.`,
      'Delete the model and download it again.',
      { id, path },
      options,
    );
  }
}

/** The files of `record`. `readChunk` gives the chunk of that index; undefined if it is gone. */
export function modelTree(
  record: ModelRecord,
  readChunk: (file: StoredFile, index: number) => Promise<Blob | undefined>,
): FileTree {
  const files = new Map(record.files.map((file) => [file.path, file]));
  const paths = [...files.keys()].sort();
  return {
    name: record.id,
    list: () => paths,
    has: (path) => files.has(path),
    open: async (path) => {
      const file = files.get(path);
      if (file === undefined) throw new StoredFileNotFoundError(record.id, path);
      return chunkedSource(record.id, file, (index) => readChunk(file, index));
    },
  };
}

function chunkedSource(
  id: string,
  file: StoredFile,
  readChunk: (index: number) => Promise<Blob | undefined>,
): ByteSource {
  // Blobs out of IndexedDB are handles, not bytes, so keeping them costs nothing and spares a look-up per tensor.
  const blobs = new Map<number, Blob>();
  const blobAt = async (index: number): Promise<Blob> => {
    const blob = blobs.get(index) ?? (await readChunk(index));
    if (blob === undefined) throw new StoredFileDamagedError(id, file.path);
    blobs.set(index, blob);
    return blob;
  };
  return {
    name: file.path,
    size: file.size,
    read: async (start, end) => {
      if (start < 0 || end > file.size || start > end) {
        throw new RangeError(`${file.path}: bytes ${start} to ${end} of ${file.size}`);
      }
      const bytes = new Uint8Array(end - start);
      let position = start;
      while (position < end) {
        const index = Math.floor(position / file.chunkBytes);
        const first = position - index * file.chunkBytes;
        const last = Math.min(end - index * file.chunkBytes, file.chunkBytes);
        const blob = await blobAt(index);
        bytes.set(await readBlob(id, file.path, blob, first, last), position - start);
        position += last - first;
      }
      return bytes;
    },
  };
}

async function readBlob(id: string, path: string, blob: Blob, start: number, end: number): Promise<Uint8Array> {
  try {
    const bytes = new Uint8Array(await blob.slice(start, end).arrayBuffer());
    if (bytes.length === end - start) return bytes;
  } catch (error) {
    throw new StoredFileDamagedError(id, path, { cause: error });
  }
  throw new StoredFileDamagedError(id, path);
}

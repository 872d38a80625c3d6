/** What the model store writes down about a model: plain data and the arithmetic of its chunks. */
import type { StoredModel } from '../worker/protocol.ts';

/** Big enough to read back at the disk's speed, small enough that a dropped connection loses little. */
export const CHUNK_BYTES = 16 * 1024 * 1024;

/** A file as the store knows it. */
export interface StoredFile {
  /** Relative path, e.g. `unet/config.json`. */
  readonly path: string;
  /** Bytes. */
  readonly size: number;
  /** Its hash, e.g. `sha256:ab…` or `git-sha1:cd…`: two files of the same content share their chunks. */
  readonly content: string;
  readonly chunkBytes: number;
}

/** A model whose files are all there. */
export interface ModelRecord {
  readonly id: string;
  /** Commit sha. */
  readonly revision: string;
  readonly files: readonly StoredFile[];
  /** Milliseconds since 1970. */
  readonly savedAt: number;
}

/** How much of a file is stored. */
export interface StoredParts {
  /** Every chunk is there and the hash was right. */
  readonly complete: boolean;
  /** Indices of the chunks that are there. */
  readonly chunks: ReadonlySet<number>;
}

/** How many chunks a file has. An empty file has none. */
export function chunkCount(file: StoredFile): number {
  return Math.ceil(file.size / file.chunkBytes);
}

/** First byte and end (exclusive) of a chunk. */
export function chunkRange(file: StoredFile, index: number): { start: number; end: number } {
  const start = index * file.chunkBytes;
  return { start, end: Math.min(start + file.chunkBytes, file.size) };
}

/** The record as the page sees it. */
export function toStoredModel(record: ModelRecord): StoredModel {
  const bytes = record.files.reduce((sum, file) => sum + file.size, 0);
  return { id: record.id, revision: record.revision, bytes, savedAt: record.savedAt };
}

/**
 * Several files as one zip, piece by piece: nothing is compressed, for weights do not shrink, so the pieces go through as they are.
 * Sizes in a zip have 32 bits (zip64, which has more, is not read everywhere).
 */
import { Zip, ZipPassThrough } from 'fflate';
import { LoratoryError } from '../core/errors.ts';
import type { BakedFile } from './bake.ts';

/** The files are together more than a zip can hold. */
export class ZipTooLargeError extends LoratoryError {
  readonly code = 'zip-too-large';

  constructor(bytes: number) {
    super(
      `The folder takes ${(bytes / 1e9).toFixed(1)} GB, and a zip holds 4.2 GB.`,
      'Choose half precision, or one file instead of a folder.',
      { bytes },
    );
  }
}

const largest = 2 ** 32 - 1;
/** Names and sizes, which stand in a zip twice. */
const overhead = 1 << 20;

/** @throws {ZipTooLargeError} before anything is read. */
export async function* zipPieces(files: readonly BakedFile[]): AsyncGenerator<Uint8Array> {
  const bytes = files.reduce((sum, { size }) => sum + size, 0);
  if (bytes + overhead > largest) throw new ZipTooLargeError(bytes);
  const ready: Uint8Array[] = [];
  const zip = new Zip((error, piece) => {
    if (error) throw error;
    ready.push(piece);
  });
  for (const file of files) {
    const entry = new ZipPassThrough(file.path);
    zip.add(entry);
    for await (const piece of file.pieces()) {
      entry.push(piece);
      yield* ready.splice(0);
    }
    entry.push(new Uint8Array(), true);
    yield* ready.splice(0);
  }
  zip.end();
  yield* ready.splice(0);
}

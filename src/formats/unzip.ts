/** The files of a zip, unpacked a few at a time so that a large one never lies in memory twice. */
import { unzipSync, type UnzipFileInfo } from 'fflate';
import { LoratoryError } from '../core/errors.ts';

/** The zip cannot be read. */
export class ZipError extends LoratoryError {
  readonly code = 'zip';

  constructor(fileName: string, reason: string, remedy: string, options?: ErrorOptions) {
    super(`${fileName} ${reason}.`, remedy, { fileName }, options);
  }
}

export interface ZippedFile {
  /** With folders, `/` between them. */
  readonly path: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** A zip may unpack to as much as this, in bytes and files. */
const maxBytes = 4e9;
const maxFiles = 20_000;
/** No byte of DEFLATE unpacks to more: a file that says so would only take up memory. */
const mostPerByte = 1032;
/** Unpacked at one time, in bytes. */
const bytesAtOnce = 64e6;

/**
 * Unpacks `zip`, the contents of the file `name`. `wanted` says which files, by path and size in bytes.
 *
 * @throws {ZipError} where it is damaged, encrypted, or would unpack to more than 4 GB.
 */
export function* unzipFiles(
  zip: Uint8Array,
  name: string,
  wanted: (path: string, bytes: number) => boolean,
): Generator<ZippedFile> {
  const files: UnzipFileInfo[] = [];
  read(zip, name, (file) => {
    if (!file.name.endsWith('/') && wanted(file.name, file.originalSize)) files.push(file);
    return false;
  });
  const bytes = files.reduce((sum, file) => sum + file.originalSize, 0);
  if (files.length > maxFiles || bytes > maxBytes)
    throw new ZipError(
      name,
      `unpacks to ${files.length} files of ${(bytes / 1e9).toFixed(1)} GB`,
      'Unpack it first, and add a part of its files.',
    );
  const liar = files.find((file) => file.originalSize > 1024 + mostPerByte * Math.min(file.size, zip.length));
  if (liar)
    throw new ZipError(
      name,
      `says that ${liar.name} unpacks to ${liar.originalSize} bytes, which it cannot`,
      'Zip the files again, or add them without a zip.',
    );
  for (let start = 0; start < files.length;) {
    let end = start;
    for (let sum = 0; end < files.length; end++) {
      sum += files[end]!.originalSize;
      if (end > start && sum > bytesAtOnce) break;
    }
    const group = new Set(files.slice(start, end).map((file) => file.name));
    for (const [path, unpacked] of Object.entries(read(zip, name, (file) => group.has(file.name))))
      yield { path, bytes: new Uint8Array(unpacked) };
    start = end;
  }
}

function read(zip: Uint8Array, name: string, filter: (file: UnzipFileInfo) => boolean): ReturnType<typeof unzipSync> {
  if (isEncrypted(zip)) throw new ZipError(name, 'is encrypted', 'Unpack it with its password and add the files.');
  try {
    return unzipSync(zip, { filter });
  } catch (cause) {
    throw new ZipError(name, 'is damaged and cannot be unpacked', 'Zip the files again, or add them without a zip.', {
      cause,
    });
  }
}

/** Bit 0 of the flags of the first file's header (APPNOTE 4.4.4): encrypted zips have it in every file. */
function isEncrypted(zip: Uint8Array): boolean {
  const local = zip[0] === 0x50 && zip[1] === 0x4b && zip[2] === 0x03 && zip[3] === 0x04;
  return local && (zip[6]! & 1) === 1;
}

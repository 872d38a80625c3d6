/** The list of the built-in model's files, files.json, as tools/demo-model/listFiles.mjs writes it; and fetching one of them. */
import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex } from '@noble/hashes/utils.js';
import { LoratoryError } from '../core/errors.ts';

/** One file of the model: a path below its folder, bytes, and the hash of the contents in hex. */
export interface BuiltInFile {
  readonly path: string;
  readonly size: number;
  readonly sha256: string;
}

export interface BuiltInFiles {
  /** Changes when any file does. */
  readonly revision: string;
  /** Side of the pictures that the model was trained on, in pixels. */
  readonly imageSize: number;
  /** Sides must be multiples of this many pixels. */
  readonly sizeUnit: number;
  readonly files: readonly BuiltInFile[];
}

/** The server that sent this page does not send the model's files. */
export class BuiltInModelUnavailableError extends LoratoryError {
  readonly code = 'built-in-model-unavailable';

  constructor(path: string, reason: string, options?: ErrorOptions) {
    super(
      `${path} of the demo model could not be fetched: ${reason}.`,
      'Check the connection and try again. If it stays so, this copy of Loratory was set up without models/demo; a model from the Hub works all the same.',
      { path, reason },
      options,
    );
  }
}

/** A file arrived, but it is another than the one that was listed. */
export class BuiltInModelDamagedError extends LoratoryError {
  readonly code = 'built-in-model-damaged';

  constructor(path: string, expected: string, actual: string) {
    super(
      `${path} of the demo model is not the file that was published: expected ${expected}, got ${actual}.`,
      'Reload the page and try again. If it stays so, the copy of Loratory on this server is damaged.',
      { path, expected, actual },
    );
  }
}

export interface FetchOptions {
  readonly fetch: typeof fetch;
  readonly signal: AbortSignal;
  readonly onBytes?: (count: number) => void;
}

/** Reads `folder`/files.json. Throws {@link BuiltInModelUnavailableError}, also where a web page came instead. */
export async function fetchFileList(folder: URL, options: FetchOptions): Promise<BuiltInFiles> {
  const path = 'files.json';
  const bytes = await fetchBytes(folder, path, options);
  try {
    return parse(JSON.parse(new TextDecoder().decode(bytes)));
  } catch (cause) {
    // Servers of single-page apps answer what they do not have with their start page.
    throw new BuiltInModelUnavailableError(path, 'what came is no list of files', { cause });
  }
}

/** One file, its size and hash checked. Throws the errors above. */
export async function fetchListedFile(
  folder: URL,
  file: BuiltInFile,
  options: FetchOptions,
): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = await fetchBytes(folder, file.path, options);
  if (bytes.length !== file.size)
    throw new BuiltInModelDamagedError(file.path, `${file.size} bytes`, String(bytes.length));
  const actual = bytesToHex(sha256(bytes));
  if (actual !== file.sha256) throw new BuiltInModelDamagedError(file.path, `sha256 ${file.sha256}`, actual);
  return bytes;
}

function parse(value: unknown): BuiltInFiles {
  const { revision, imageSize, sizeUnit, files } = value as Partial<BuiltInFiles>;
  const isSide = (side: unknown): boolean => Number.isInteger(side) && (side as number) > 0;
  if (typeof revision !== 'string' || !isSide(imageSize) || !isSide(sizeUnit) || !Array.isArray(files) || !files.length)
    throw new SyntaxError('a field is missing');
  for (const { path, size, sha256: hash } of files as Partial<BuiltInFile>[]) {
    if (typeof path !== 'string' || !Number.isSafeInteger(size) || !/^[0-9a-f]{64}$/.test(hash ?? ''))
      throw new SyntaxError('a file has no path, size or hash');
  }
  return value as BuiltInFiles;
}

async function fetchBytes(
  folder: URL,
  path: string,
  { fetch, signal, onBytes }: FetchOptions,
): Promise<Uint8Array<ArrayBuffer>> {
  signal.throwIfAborted();
  try {
    // Our own storage keeps what comes, so a second copy in the HTTP cache, perhaps of an older version, would only harm.
    const response = await fetch(new URL(path, folder), { signal, cache: 'no-store' });
    if (!response.ok) throw new BuiltInModelUnavailableError(path, `the server answered ${response.status}`);
    const reader = response.body?.getReader();
    const parts: Uint8Array<ArrayBuffer>[] = [];
    for (let part = await reader?.read(); part?.value !== undefined; part = await reader?.read()) {
      parts.push(part.value);
      onBytes?.(part.value.length);
    }
    return new Uint8Array(await new Blob(parts).arrayBuffer());
  } catch (cause) {
    signal.throwIfAborted();
    if (cause instanceof LoratoryError) throw cause;
    throw new BuiltInModelUnavailableError(path, 'the server could not be reached', { cause });
  }
}

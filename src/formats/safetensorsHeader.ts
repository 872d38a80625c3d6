/**
 * The header of a safetensors file: 8 bytes little-endian length N, N bytes of JSON, then the tensors' bytes without gaps.
 * Everything that the Rust reference implementation refuses is refused here, for the file may come from anyone.
 * Source: https://github.com/huggingface/safetensors (README "Format", safetensors/src/tensor.rs).
 */
import { LoratoryError } from '../core/errors.ts';

/** What is wrong with a safetensors file, for code; the message says it for people. */
export type SafetensorsFault =
  | 'not-safetensors'
  | 'header-too-large'
  | 'truncated'
  | 'bad-header'
  | 'duplicate-key'
  | 'bad-metadata'
  | 'bad-tensor'
  | 'unsupported-dtype'
  | 'size-mismatch'
  | 'not-contiguous'
  | 'trailing-bytes'
  | 'missing-tensor'
  | 'wrong-dtype'
  | 'out-of-range';

const DOWNLOAD_AGAIN = 'Download the file again; if it stays so, it was damaged or never was a safetensors file.';
const REMEDIES: Partial<Record<SafetensorsFault, string>> = {
  'unsupported-dtype': 'Convert the file to fp16, bf16 or fp32 with the tool that made it.',
  'missing-tensor': 'Take a file that was made for this kind of model.',
  'wrong-dtype': 'Take a file whose weights are fp16, bf16 or fp32.',
  'out-of-range': 'Take a file that was made for this kind of model.',
};

/** A safetensors file is malformed, truncated, or does not hold what was asked for. `reason` says which. */
export class SafetensorsError extends LoratoryError {
  readonly code = 'safetensors';

  constructor(
    readonly file: string,
    readonly reason: SafetensorsFault,
    what: string,
    options?: ErrorOptions,
  ) {
    super(`${file}: ${what}.`, REMEDIES[reason] ?? DOWNLOAD_AGAIN, { file, reason }, options);
  }
}

/** Bytes an element, in the order in which the reference writer sorts its types: the widest first. */
export const DTYPE_BYTES = {
  I64: 8,
  F64: 8,
  F32: 4,
  I32: 4,
  BF16: 2,
  F16: 2,
  I16: 2,
  I8: 1,
  U8: 1,
  BOOL: 1,
} as const;
export type Dtype = keyof typeof DTYPE_BYTES;

export function isDtype(name: unknown): name is Dtype {
  return typeof name === 'string' && Object.hasOwn(DTYPE_BYTES, name);
}

export interface TensorInfo {
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  readonly byteLength: number;
}

/** A tensor's info and where its bytes begin, counted from the end of the header. */
export interface TensorEntry extends TensorInfo {
  readonly start: number;
}

export interface SafetensorsHeader {
  readonly metadata: Readonly<Record<string, string>>;
  /** In the order of their bytes. */
  readonly tensors: ReadonlyMap<string, TensorEntry>;
}

/** The reference implementation's limit. */
export const MAX_HEADER_BYTES = 100_000_000;
const SHOWN = 60;

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > SHOWN ? `${text.slice(0, SHOWN)}…` : text;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Index of the quote that closes the string opened at `open`; the text is known to be valid JSON. */
function closingQuote(text: string, open: number): number {
  for (let at = text.indexOf('"', open + 1); ; at = text.indexOf('"', at + 1)) {
    let backslashes = 0;
    while (text[at - 1 - backslashes] === '\\') backslashes++;
    if (backslashes % 2 === 0) return at;
  }
}

/** The first key that occurs twice in one object of `text`, which is valid JSON. (JSON.parse silently keeps the last.) */
export function findDuplicateKey(text: string): string | undefined {
  const open: (Set<string> | undefined)[] = []; // One entry an open bracket: an object's keys, undefined for an array.
  let expectsKey = false;
  for (let i = 0; i < text.length; i++) {
    const char = text[i];
    if (char === '{') {
      open.push(new Set());
      expectsKey = true;
    } else if (char === '[') {
      open.push(undefined);
      expectsKey = false;
    } else if (char === '}' || char === ']') {
      open.pop();
      expectsKey = false;
    } else if (char === ',') {
      expectsKey = open.at(-1) !== undefined;
    } else if (char === '"') {
      const end = closingQuote(text, i);
      const keys = open.at(-1);
      if (expectsKey && keys !== undefined) {
        const key = JSON.parse(text.slice(i, end + 1)) as string;
        if (keys.has(key)) return key;
        keys.add(key);
        expectsKey = false;
      }
      i = end;
    }
  }
  return undefined;
}

function parseMetadata(file: string, value: unknown): Record<string, string> {
  if (!isRecord(value)) throw new SafetensorsError(file, 'bad-metadata', 'its __metadata__ is not a JSON object');
  const metadata: Record<string, string> = Object.create(null) as Record<string, string>;
  for (const [key, text] of Object.entries(value)) {
    if (typeof text !== 'string') {
      throw new SafetensorsError(file, 'bad-metadata', `its metadata ${shown(key)} is not a string but ${shown(text)}`);
    }
    metadata[key] = text;
  }
  return metadata;
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function parseEntry(file: string, name: string, value: unknown): TensorEntry {
  const bad = (reason: SafetensorsFault, what: string): never => {
    throw new SafetensorsError(file, reason, `its tensor ${shown(name)} ${what}`);
  };
  if (!isRecord(value)) return bad('bad-tensor', `is described by ${shown(value)}`);
  const { dtype, shape, data_offsets: offsets, ...rest } = value;
  if (Object.keys(rest).length > 0) return bad('bad-tensor', `has the unknown field ${shown(Object.keys(rest)[0])}`);
  if (typeof dtype !== 'string') return bad('bad-tensor', `has the type ${shown(dtype)}`);
  if (!isDtype(dtype)) return bad('unsupported-dtype', `has the type ${shown(dtype)}, which Loratory cannot read`);
  if (!Array.isArray(shape) || !shape.every(isCount)) return bad('bad-tensor', `has the shape ${shown(shape)}`);
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isCount)) {
    return bad('bad-tensor', `has the offsets ${shown(offsets)}`);
  }
  let byteLength: number = DTYPE_BYTES[dtype];
  for (const size of shape) {
    byteLength *= size;
    if (!Number.isSafeInteger(byteLength))
      return bad('bad-tensor', `has the shape ${shown(shape)}, whose size overflows`);
  }
  const [start, end] = offsets as [number, number];
  if (end - start !== byteLength) {
    return bad('size-mismatch', `has ${end - start} bytes, but ${dtype} ${shown(shape)} takes ${byteLength}`);
  }
  return { dtype, shape, byteLength, start };
}

/**
 * Parses the JSON of a header (`bytes`, without the 8 length bytes) of a file whose tensors take `dataBytes` bytes.
 * Throws a {@link SafetensorsError} that names `file` unless the header is well-formed and its tensors cover the data exactly.
 */
export function parseSafetensorsHeader(file: string, bytes: Uint8Array, dataBytes: number): SafetensorsHeader {
  if (bytes[0] !== 0x7b) throw new SafetensorsError(file, 'bad-header', 'its header does not begin with {');
  let text: string;
  let parsed: unknown;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    parsed = JSON.parse(text);
  } catch (error) {
    throw new SafetensorsError(file, 'bad-header', 'its header is not valid JSON', { cause: error });
  }
  if (!isRecord(parsed)) throw new SafetensorsError(file, 'bad-header', 'its header is not a JSON object');
  const duplicate = findDuplicateKey(text);
  if (duplicate !== undefined) {
    throw new SafetensorsError(file, 'duplicate-key', `its header has the key ${shown(duplicate)} twice`);
  }

  const metadata = Object.hasOwn(parsed, '__metadata__') ? parseMetadata(file, parsed['__metadata__']) : {};
  const entries = Object.entries(parsed)
    .filter(([name]) => name !== '__metadata__')
    .map(([name, value]) => [name, parseEntry(file, name, value)] as const);
  entries.sort(([, a], [, b]) => a.start - b.start || a.byteLength - b.byteLength);

  let covered = 0;
  for (const [name, { start, byteLength }] of entries) {
    if (start !== covered) {
      const where = start < covered ? 'overlaps the one before it' : 'leaves a gap before it';
      throw new SafetensorsError(file, 'not-contiguous', `its tensor ${shown(name)} ${where}`);
    }
    covered = start + byteLength;
  }
  if (covered > dataBytes) {
    throw new SafetensorsError(
      file,
      'truncated',
      `it ends early: ${covered - dataBytes} bytes of its tensors are missing`,
    );
  }
  if (covered < dataBytes) {
    throw new SafetensorsError(file, 'trailing-bytes', `${dataBytes - covered} bytes after its tensors belong to none`);
  }
  return { metadata, tensors: new Map(entries) };
}

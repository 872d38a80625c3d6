/**
 * Reading and writing safetensors files. A reader fetches the header at once and a tensor's bytes when they are asked for,
 * so a model of gigabytes never lies in memory as a whole. The format's rules are in safetensorsHeader.ts.
 */
import type { ByteSource } from '../core/files.ts';
import { bfloat16ToFloat32, float16ToFloat32, float32ToFloat16 } from '../core/float16.ts';
import { invariant } from '../core/invariant.ts';
import {
  DTYPE_BYTES,
  type Dtype,
  MAX_HEADER_BYTES,
  parseSafetensorsHeader,
  SafetensorsError,
  type SafetensorsFault,
  type TensorInfo,
} from './safetensorsHeader.ts';

export { type Dtype, SafetensorsError, type SafetensorsFault, type TensorInfo } from './safetensorsHeader.ts';

/** Named tensors, wherever their bytes lie: one file, or several shards. All values are row-major. */
export interface SafetensorsFile {
  /** What to call it in an error message. */
  readonly fileName: string;
  readonly metadata: Readonly<Record<string, string>>;
  /** All names, in the order of their bytes. */
  names(): readonly string[];
  has(name: string): boolean;
  /** Every method from here on throws (or rejects with) a {@link SafetensorsError} `missing-tensor` if there is no such tensor. */
  info(name: string): TensorInfo;
  /** The tensor's bytes as they lie in the file, or the part [range.start, range.end) of them. */
  readBytes(name: string, range?: { readonly start: number; readonly end: number }): Promise<Uint8Array<ArrayBuffer>>;
  /** Any floating-point tensor as float32 (F64 is rounded). Rejects with `wrong-dtype` for integers. */
  readFloat32(name: string): Promise<Float32Array<ArrayBuffer>>;
  /** Any floating-point tensor as the bits of halves, rounded to nearest even. Rejects with `wrong-dtype` for integers. */
  readFloat16(name: string): Promise<Uint16Array<ArrayBuffer>>;
  /** Any integer or boolean tensor as numbers. Rejects with `wrong-dtype` for floats, `out-of-range` beyond 2^53. */
  readInts(name: string): Promise<readonly number[]>;
}

/** Elements converted at a time, so that a conversion needs little memory beside its result. */
const CHUNK = 1 << 20;

/** `bytes` as a typed array; copied only where a source handed out an unaligned view. */
function viewAs<T>(
  type: { new (buffer: ArrayBuffer, byteOffset: number, length: number): T; readonly BYTES_PER_ELEMENT: number },
  bytes: Uint8Array<ArrayBuffer>,
): T {
  const size = type.BYTES_PER_ELEMENT;
  const aligned = bytes.byteOffset % size === 0 ? bytes : bytes.slice();
  return new type(aligned.buffer, aligned.byteOffset, aligned.byteLength / size);
}

/** Says what a file that is no safetensors file looks like instead, judging by its first bytes. */
function lookAlike(head: Uint8Array): string | undefined {
  const text = String.fromCharCode(...head);
  if (text.startsWith('PK\x03\x04'))
    return 'it is a zip archive (perhaps a PyTorch .ckpt or .bin), not a safetensors file';
  if (/^\x80[\x02-\x05]/.test(text)) return 'it is a Python pickle, not a safetensors file';
  if (/^\s*<(!DOC|htm)/i.test(text)) return 'it is a web page, not a safetensors file: the download went wrong';
  if (text.startsWith('version ')) return 'it is a Git LFS pointer: the file itself was never downloaded';
  return undefined;
}

/**
 * Opens a safetensors file: reads and checks its header. Rejects with a {@link SafetensorsError} naming the source and the fault
 * if the file is malformed or truncated.
 */
export async function openSafetensors(source: ByteSource): Promise<SafetensorsFile> {
  const file = source.name;
  const head = await source.read(0, Math.min(8, source.size));
  // A small header's length may by chance look like the start of another format, so that is asked only once it makes no sense.
  const fault = (reason: SafetensorsFault, what: string): SafetensorsError => {
    const alike = lookAlike(head);
    return new SafetensorsError(file, alike === undefined ? reason : 'not-safetensors', alike ?? what);
  };
  if (source.size < 8) throw fault('truncated', `it has only ${source.size} bytes`);
  const headerBytes = new DataView(head.buffer, head.byteOffset).getBigUint64(0, true);
  if (headerBytes > BigInt(MAX_HEADER_BYTES)) {
    throw fault('header-too-large', `its header claims ${headerBytes} bytes, more than the limit of 100 MB`);
  }
  const dataStart = 8 + Number(headerBytes);
  if (dataStart > source.size) {
    throw fault('truncated', `it ends within its header, ${dataStart - source.size} bytes early`);
  }
  const headerJson = await source.read(8, dataStart);
  const { metadata, tensors } = parseSafetensorsHeader(file, headerJson, source.size - dataStart);

  function entry(name: string): TensorInfo & { readonly start: number } {
    const found = tensors.get(name);
    if (found === undefined) throw new SafetensorsError(file, 'missing-tensor', `it has no tensor "${name}"`);
    return found;
  }
  async function readBytes(name: string, range?: { start: number; end: number }): Promise<Uint8Array<ArrayBuffer>> {
    const { start, byteLength } = entry(name);
    const { start: from, end: to } = range ?? { start: 0, end: byteLength };
    invariant(0 <= from && from <= to && to <= byteLength, 'The range lies within the tensor', {
      file,
      name,
      from,
      to,
    });
    return source.read(dataStart + start + from, dataStart + start + to);
  }
  async function readFloats(name: string, put: (values: Float32Array, at: number) => void): Promise<void> {
    const { dtype, byteLength } = entry(name);
    const size = DTYPE_BYTES[dtype];
    for (let start = 0; start < byteLength; start += CHUNK * size) {
      const bytes = await readBytes(name, { start, end: Math.min(start + CHUNK * size, byteLength) });
      put(widen(file, name, dtype, bytes), start / size);
    }
  }

  return {
    fileName: file,
    metadata,
    names: () => [...tensors.keys()],
    has: (name) => tensors.has(name),
    info: entry,
    readBytes,
    readFloat32: async (name) => {
      const { dtype, byteLength } = entry(name);
      requireFloats(file, name, dtype);
      if (dtype === 'F32') return viewAs(Float32Array, await readBytes(name));
      const out = new Float32Array(byteLength / DTYPE_BYTES[dtype]);
      await readFloats(name, (values, at) => out.set(values, at));
      return out;
    },
    readFloat16: async (name) => {
      const { dtype, byteLength } = entry(name);
      requireFloats(file, name, dtype);
      if (dtype === 'F16') return viewAs(Uint16Array, await readBytes(name));
      const out = new Uint16Array(byteLength / DTYPE_BYTES[dtype]);
      await readFloats(name, (values, at) => out.set(float32ToFloat16(values), at));
      return out;
    },
    readInts: async (name) => {
      const { dtype } = entry(name);
      const values = integers(file, name, dtype, await readBytes(name));
      if (!values.every(Number.isSafeInteger)) {
        throw new SafetensorsError(file, 'out-of-range', `its tensor "${name}" holds integers beyond 2^53`);
      }
      return values;
    },
  };
}

function requireFloats(file: string, name: string, dtype: Dtype): void {
  if (!/^B?F/.test(dtype)) {
    throw new SafetensorsError(
      file,
      'wrong-dtype',
      `its tensor "${name}" should hold floating-point numbers, but is ${dtype}`,
    );
  }
}

function widen(file: string, name: string, dtype: Dtype, bytes: Uint8Array<ArrayBuffer>): Float32Array {
  requireFloats(file, name, dtype);
  if (dtype === 'F32') return viewAs(Float32Array, bytes);
  if (dtype === 'F64') return Float32Array.from(viewAs(Float64Array, bytes));
  const bits = viewAs(Uint16Array, bytes);
  return dtype === 'BF16' ? bfloat16ToFloat32(bits) : float16ToFloat32(bits);
}

function integers(file: string, name: string, dtype: Dtype, bytes: Uint8Array<ArrayBuffer>): readonly number[] {
  switch (dtype) {
    case 'I64':
      return Array.from(viewAs(BigInt64Array, bytes), Number);
    case 'I32':
      return Array.from(viewAs(Int32Array, bytes));
    case 'I16':
      return Array.from(viewAs(Int16Array, bytes));
    case 'I8':
      return Array.from(viewAs(Int8Array, bytes));
    case 'U8':
    case 'BOOL':
      return Array.from(bytes);
    default:
      throw new SafetensorsError(file, 'wrong-dtype', `its tensor "${name}" should hold integers, but is ${dtype}`);
  }
}

/** A tensor of a file to be written, without its values. */
export interface TensorPlan {
  readonly name: string;
  readonly dtype: Dtype;
  readonly shape: readonly number[];
}

/** A tensor to be written: `data` holds exactly the bytes that dtype and shape call for, little-endian, row-major. */
export interface TensorToWrite extends TensorPlan {
  readonly data: ArrayBufferView;
}

const byText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

function byteLengthOf({ dtype, shape }: TensorPlan): number {
  return shape.reduce((product, size) => product * size, DTYPE_BYTES[dtype]);
}

/**
 * The beginning of a file (length and header) and its tensors in the order in which their bytes must follow: by dtype (widest first, as
 * the reference writer has it, which keeps them aligned), then by name. Metadata lies by key; the header is padded to 8 with spaces.
 */
export function planSafetensors<T extends TensorPlan>(
  tensors: readonly T[],
  metadata: Readonly<Record<string, string>> = {},
): { readonly head: Uint8Array<ArrayBuffer>; readonly order: readonly T[]; readonly dataBytes: number } {
  const rank = Object.keys(DTYPE_BYTES);
  const order = [...tensors].sort((a, b) => rank.indexOf(a.dtype) - rank.indexOf(b.dtype) || byText(a.name, b.name));
  const fields: string[] = [];
  const keys = Object.keys(metadata).sort(byText);
  if (keys.length > 0) {
    const pairs = keys.map((key) => `${JSON.stringify(key)}:${JSON.stringify(metadata[key])}`);
    fields.push(`"__metadata__":{${pairs.join(',')}}`);
  }
  let end = 0;
  const seen = new Set(['__metadata__']);
  for (const tensor of order) {
    const { name, dtype, shape } = tensor;
    const bytes = byteLengthOf(tensor);
    invariant(!seen.has(name), 'Tensor names are unique and none is __metadata__', { name });
    seen.add(name);
    const offsets = `[${end},${end + bytes}]`;
    fields.push(`${JSON.stringify(name)}:{"dtype":"${dtype}","shape":[${shape.join(',')}],"data_offsets":${offsets}}`);
    end += bytes;
  }
  const json = new TextEncoder().encode(`{${fields.join(',')}}`);
  const headerBytes = Math.ceil(json.length / 8) * 8;
  const head = new Uint8Array(8 + headerBytes).fill(0x20, 8);
  new DataView(head.buffer).setBigUint64(0, BigInt(headerBytes), true);
  head.set(json, 8);
  return { head, order, dataBytes: end };
}

/** The bytes of a safetensors file. The same tensors and metadata always give the same bytes. */
export function encodeSafetensors(
  tensors: readonly TensorToWrite[],
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array<ArrayBuffer> {
  const { head, order, dataBytes } = planSafetensors(tensors, metadata);
  const bytes = new Uint8Array(head.length + dataBytes);
  bytes.set(head);
  let at = head.length;
  for (const tensor of order) {
    const { name, dtype, shape, data } = tensor;
    invariant(data.byteLength === byteLengthOf(tensor), 'A tensor has the bytes of its shape', {
      name,
      dtype,
      shape,
      bytes: data.byteLength,
    });
    bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), at);
    at += data.byteLength;
  }
  return bytes;
}

/** Reads the texts of a PNG file: tEXt, zTXt and iTXt. The pixels are not looked at. Source: PNG 3rd edition (W3C), 11.3.3. */
import { Unzlib } from 'fflate';
import { LoratoryError } from '../core/errors.ts';
import { crc32 } from './png.ts';

export type PngFault = 'not-png' | 'truncated' | 'damaged' | 'text-too-large';

/** A file is no PNG, or a damaged one. `reason` says which. */
export class PngError extends LoratoryError {
  readonly code = 'png';

  constructor(
    readonly file: string,
    readonly reason: PngFault,
    what: string,
  ) {
    super(`${file} ${what}.`, 'Take the picture as the program wrote it: messengers and editors often change it.', {
      file,
      reason,
    });
  }
}

const SIGNATURE = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];
/** A few kilobytes of prompt need no more; a file of a few kilobytes can unpack to gigabytes. */
const MAX_TEXT_BYTES = 1 << 20;

/**
 * All texts by keyword; of two with one keyword, the last. Throws {@link PngError} if the file is no PNG, ends early, has a text with a
 * wrong checksum, or one that unpacks to more than a megabyte.
 */
export function readPngTexts(bytes: Uint8Array, file = 'The picture'): ReadonlyMap<string, string> {
  if (!SIGNATURE.every((byte, i) => bytes[i] === byte)) throw new PngError(file, 'not-png', 'is no PNG file');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const texts = new Map<string, string>();
  for (let at = SIGNATURE.length; ;) {
    const end = at + 12 + (at + 12 <= bytes.length ? view.getUint32(at) : 0);
    if (end > bytes.length) throw new PngError(file, 'truncated', 'ends early');
    const type = latin1(bytes.subarray(at + 4, at + 8));
    if (type === 'IEND') return texts;
    if (type === 'tEXt' || type === 'zTXt' || type === 'iTXt') {
      if (crc32(bytes.subarray(at + 4, end - 4)) !== view.getUint32(end - 4))
        throw new PngError(file, 'damaged', `has a damaged ${type} text`);
      const [keyword, text] = readText(type, bytes.subarray(at + 8, end - 4), file);
      texts.set(keyword, text);
    }
    at = end;
  }
}

function readText(type: 'tEXt' | 'zTXt' | 'iTXt', data: Uint8Array, file: string): readonly [string, string] {
  const [keyword, rest] = splitAtZero(data, type, file);
  if (type === 'tEXt') return [latin1(keyword), latin1(rest)];
  if (type === 'zTXt') return [latin1(keyword), latin1(unpack(rest.subarray(1), file))];
  const isPacked = rest[0] === 1;
  const [, afterLanguage] = splitAtZero(rest.subarray(2), type, file);
  const [, text] = splitAtZero(afterLanguage, type, file);
  return [latin1(keyword), new TextDecoder().decode(isPacked ? unpack(text, file) : text)];
}

function splitAtZero(data: Uint8Array, type: string, file: string): readonly [Uint8Array, Uint8Array] {
  const at = data.indexOf(0);
  if (at < 0) throw new PngError(file, 'damaged', `has a malformed ${type} text`);
  return [data.subarray(0, at), data.subarray(at + 1)];
}

function unpack(packed: Uint8Array, file: string): Uint8Array {
  const parts: Uint8Array[] = [];
  let length = 0;
  const unzlib = new Unzlib((part) => {
    length += part.length;
    if (length > MAX_TEXT_BYTES) throw new PngError(file, 'text-too-large', 'has a text of more than a megabyte');
    parts.push(part.slice());
  });
  try {
    // In small pieces, so that no more than the limit is ever unpacked at once by much.
    for (let at = 0; at < packed.length; at += 1024)
      unzlib.push(packed.subarray(at, at + 1024), at + 1024 >= packed.length);
  } catch (error) {
    if (error instanceof PngError) throw error;
    throw new PngError(file, 'damaged', 'has a compressed text that cannot be unpacked');
  }
  const out = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

function latin1(bytes: Uint8Array): string {
  return new TextDecoder('iso-8859-1').decode(bytes);
}

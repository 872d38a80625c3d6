/**
 * A picture's `parameters`, in whichever way its format carries them: PNG in a text chunk, WebP and JPEG in EXIF's UserComment, as A1111
 * has it. Sources: the WebP container (RFC 9649, 2.7), JPEG (ITU T.81, B.1.1).
 */
import { invariant } from '../core/invariant.ts';
import { encodeUserComment, readUserComment } from './exif.ts';
import { readImageSize } from './imageSize.ts';
import { PngError, readPngTexts } from './pngText.ts';

/** Flags of the extended header. */
const HAS_EXIF = 0x08;
const HAS_ALPHA = 0x10;

/**
 * The text, or null if the picture has none.
 *
 * @throws {PngError} if it is no picture of these formats, or a damaged PNG.
 */
export function readPictureParameters(bytes: Uint8Array, file: string): string | null {
  switch (readImageSize(bytes)?.format) {
    case 'webp': {
      const exif = webpChunks(bytes).find(({ type }) => type === 'EXIF');
      return exif ? readUserComment(exif.data) : null;
    }
    case 'jpeg': {
      const exif = jpegExif(bytes);
      return exif ? readUserComment(exif) : null;
    }
    case 'png':
      return readPngTexts(bytes, file).get('parameters') ?? null;
    default:
      throw new PngError(file, 'not-png', 'is no PNG, WebP or JPEG file');
  }
}

/** A WebP file with `parameters` in it, in place of the EXIF that it had. The pixels stay as they are. */
export function withWebpParameters(webp: Uint8Array, parameters: string): Uint8Array<ArrayBuffer> {
  const size = readImageSize(webp);
  invariant(size?.format === 'webp', 'The picture is a WebP file');
  const chunks = webpChunks(webp);
  const before = chunks.find(({ type }) => type === 'VP8X')?.data;
  const lossless = chunks.find(({ type }) => type === 'VP8L')?.data;
  const header = new Uint8Array(10);
  if (before) header.set(before);
  // A lossless picture says in its 29th bit whether it has transparent parts.
  else if (lossless && (lossless[4]! & 0x10) !== 0) header[0] = HAS_ALPHA;
  header[0]! |= HAS_EXIF;
  setUint24(header, 4, size.width - 1);
  setUint24(header, 7, size.height - 1);
  const pixels = chunks.filter(({ type }) => type !== 'VP8X' && type !== 'EXIF');
  const all = [{ type: 'VP8X', data: header }, ...pixels, { type: 'EXIF', data: encodeUserComment(parameters) }];
  const length = all.reduce((sum, { data }) => sum + 8 + even(data.length), 4);
  const out = new Uint8Array(8 + length);
  const view = new DataView(out.buffer);
  out.set(ascii('RIFF'));
  view.setUint32(4, length, true);
  out.set(ascii('WEBP'), 8);
  let at = 12;
  for (const { type, data } of all) {
    out.set(ascii(type), at);
    view.setUint32(at + 4, data.length, true);
    out.set(data, at + 8);
    at += 8 + even(data.length);
  }
  return out;
}

interface Chunk {
  readonly type: string;
  readonly data: Uint8Array;
}

/** As far as they are whole. */
function webpChunks(bytes: Uint8Array): Chunk[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const chunks: Chunk[] = [];
  for (let at = 12; at + 8 <= bytes.length;) {
    const length = view.getUint32(at + 4, true);
    const start = at + 8;
    if (start + length > bytes.length) break;
    chunks.push({
      type: String.fromCharCode(...bytes.subarray(at, at + 4)),
      data: bytes.subarray(start, start + length),
    });
    at = start + even(length);
  }
  return chunks;
}

/** The first APP1 segment that is EXIF. */
function jpegExif(bytes: Uint8Array): Uint8Array | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 2; at + 4 <= bytes.length && bytes[at] === 0xff;) {
    const marker = bytes[at + 1]!;
    if (marker === 0xda) return undefined; // Pixels follow.
    const end = at + 2 + view.getUint16(at + 2);
    const data = bytes.subarray(at + 4, end);
    if (marker === 0xe1 && String.fromCharCode(...data.subarray(0, 4)) === 'Exif') return data;
    at = end;
  }
  return undefined;
}

function even(length: number): number {
  return length + (length % 2);
}

function ascii(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

function setUint24(bytes: Uint8Array, at: number, value: number): void {
  for (let i = 0; i < 3; i++) bytes[at + i] = (value >>> (8 * i)) & 0xff;
}

/**
 * EXIF's UserComment, where pictures without text chunks of their own (WebP, JPEG) carry their `parameters`. Written as A1111 does, which
 * uses piexif: a big-endian TIFF, the text in UTF-16. Sources: Exif 2.32 (CIPA DC-008), 4.6.5; TIFF 6.0, section 2.
 */

const EXIF_IFD = 0x8769;
const USER_COMMENT = 0x9286;
const LONG = 4;
const UNDEFINED = 7;
const CODE_BYTES = 8;
const ENTRY_BYTES = 12;

/** A TIFF that holds a text as its UserComment and nothing else. */
export function encodeUserComment(text: string): Uint8Array<ArrayBuffer> {
  const directoryBytes = 2 + ENTRY_BYTES + 4;
  const exifAt = 8 + directoryBytes;
  const textAt = exifAt + directoryBytes;
  const length = CODE_BYTES + 2 * text.length;
  const bytes = new Uint8Array(textAt + length);
  const view = new DataView(bytes.buffer);
  const directory = (at: number, tag: number, type: number, count: number, value: number): void => {
    view.setUint16(at, 1);
    view.setUint16(at + 2, tag);
    view.setUint16(at + 4, type);
    view.setUint32(at + 6, count);
    view.setUint32(at + 10, value);
  };
  bytes.set([0x4d, 0x4d, 0, 42, 0, 0, 0, 8]);
  directory(8, EXIF_IFD, LONG, 1, exifAt);
  directory(exifAt, USER_COMMENT, UNDEFINED, length, textAt);
  bytes.set(new TextEncoder().encode('UNICODE\0'), textAt);
  for (let i = 0; i < text.length; i++) view.setUint16(textAt + CODE_BYTES + 2 * i, text.charCodeAt(i));
  return bytes;
}

/** The UserComment of a TIFF, with or without `Exif` before it; null if it has none, or is damaged. */
export function readUserComment(exif: Uint8Array): string | null {
  const tiff = exif[0] === 0x45 ? exif.subarray(6) : exif;
  const view = new DataView(tiff.buffer, tiff.byteOffset, tiff.byteLength);
  try {
    const isLittle = view.getUint16(0) === 0x4949;
    if (view.getUint16(2, isLittle) !== 42) return null;
    const entryOf = (directory: number, tag: number): number | undefined => {
      const count = view.getUint16(directory, isLittle);
      for (let at = directory + 2; at < directory + 2 + count * ENTRY_BYTES; at += ENTRY_BYTES)
        if (view.getUint16(at, isLittle) === tag) return at;
      return undefined;
    };
    const pointer = entryOf(view.getUint32(4, isLittle), EXIF_IFD);
    if (pointer === undefined) return null;
    const comment = entryOf(view.getUint32(pointer + 8, isLittle), USER_COMMENT);
    if (comment === undefined) return null;
    const length = view.getUint32(comment + 4, isLittle);
    const start = view.getUint32(comment + 8, isLittle);
    if (length <= CODE_BYTES || start + length > tiff.length) return null;
    return decode(tiff.subarray(start, start + length));
  } catch (error) {
    if (error instanceof RangeError) return null; // A directory that lies beyond the end.
    throw error;
  }
}

function decode(comment: Uint8Array): string {
  const code = new TextDecoder('iso-8859-1').decode(comment.subarray(0, CODE_BYTES));
  const text = comment.subarray(CODE_BYTES);
  const encoding = code.startsWith('UNICODE') ? utf16Of(text) : 'utf-8';
  return new TextDecoder(encoding).decode(text).replaceAll('\0', '');
}

/** The standard leaves the order of bytes open, and writers differ: most of such a text is Latin, whose high bytes are 0. */
function utf16Of(text: Uint8Array): 'utf-16be' | 'utf-16le' {
  let highFirst = 0;
  for (let i = 0; i + 1 < text.length; i += 2) highFirst += Number(text[i] === 0) - Number(text[i + 1] === 0);
  return highFirst >= 0 ? 'utf-16be' : 'utf-16le';
}

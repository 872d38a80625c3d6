/**
 * An image's format and size from its first bytes, without decoding it: so that what is no image, or one that would not fit into memory,
 * is refused by name before a decoder sees it. Sources: PNG 3rd edition, JPEG (ITU T.81 B.1.1), GIF89a, the WebP container, ISO 23008-12.
 */

export type ImageFormat = 'png' | 'jpeg' | 'webp' | 'gif' | 'avif';

export interface ImageSize {
  readonly format: ImageFormat;
  /** As stored: a JPEG's orientation tag may swap the two when it is shown. */
  readonly width: number;
  readonly height: number;
}

type Size = readonly [width: number, height: number];

function textAt(view: DataView, at: number, length: number): string {
  return String.fromCharCode(...Array.from({ length }, (_, i) => view.getUint8(at + i)));
}

function uint24(view: DataView, at: number): number {
  return view.getUint16(at, true) | (view.getUint8(at + 2) << 16);
}

/** Markers that begin a frame: SOF0 to SOF15 without DHT, JPG and DAC. */
function beginsFrame(marker: number): boolean {
  return marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker);
}

function jpegSize(view: DataView): Size | undefined {
  for (let at = 2; ;) {
    if (view.getUint8(at) !== 0xff) return undefined;
    const marker = view.getUint8(at + 1);
    if (beginsFrame(marker)) return [view.getUint16(at + 7), view.getUint16(at + 5)];
    if (marker === 0xff) at += 1; // A fill byte.
    else if (marker === 0x01 || (marker >= 0xd0 && marker <= 0xd7)) at += 2;
    else if (marker === 0xd9 || marker === 0xda) return undefined;
    else at += 2 + Math.max(view.getUint16(at + 2), 2);
  }
}

function webpSize(view: DataView): Size | undefined {
  switch (textAt(view, 12, 4)) {
    case 'VP8 ':
      return [view.getUint16(26, true) & 0x3fff, view.getUint16(28, true) & 0x3fff];
    case 'VP8L': {
      const bits = view.getUint32(21, true);
      return [1 + (bits & 0x3fff), 1 + ((bits >>> 14) & 0x3fff)];
    }
    case 'VP8X':
      return [1 + uint24(view, 24), 1 + uint24(view, 27)];
    default:
      return undefined;
  }
}

/** The largest `ispe` (image spatial extents) among the boxes of [start, end): an image's tiles and thumbnails have smaller ones. */
function largestExtent(view: DataView, start: number, end: number): Size | undefined {
  let largest: Size | undefined;
  for (let at = start; at + 8 <= end;) {
    const stated = view.getUint32(at);
    const size = stated === 0 ? end - at : stated;
    const type = textAt(view, at + 4, 4);
    // Sizes of 1 (64 bits) are media data's, which comes after the sizes.
    if (size < 8) break;
    const boxEnd = Math.min(at + size, end);
    let found: Size | undefined;
    if (type === 'ispe') found = [view.getUint32(at + 12), view.getUint32(at + 16)];
    else if (type === 'meta') found = largestExtent(view, at + 12, boxEnd);
    else if (type === 'iprp' || type === 'ipco') found = largestExtent(view, at + 8, boxEnd);
    if (found && (!largest || found[0] * found[1] > largest[0] * largest[1])) largest = found;
    at += size;
  }
  return largest;
}

function sizeOf(view: DataView): readonly [ImageFormat, Size | undefined] | undefined {
  const head = textAt(view, 0, 12);
  if (head.startsWith('\x89PNG\r\n\x1a\n')) {
    return ['png', textAt(view, 12, 4) === 'IHDR' ? [view.getUint32(16), view.getUint32(20)] : undefined];
  }
  if (head.startsWith('\xff\xd8\xff')) return ['jpeg', jpegSize(view)];
  if (/^GIF8[79]a/.test(head)) return ['gif', [view.getUint16(6, true), view.getUint16(8, true)]];
  if (/^RIFF....WEBP/s.test(head)) return ['webp', webpSize(view)];
  if (/^....ftyp(avif|avis|mif1)/s.test(head)) return ['avif', largestExtent(view, 0, view.byteLength)];
  return undefined;
}

/** Format and size of the image that begins with `bytes`; null if they begin none that is known, or end before its size. */
export function readImageSize(bytes: Uint8Array): ImageSize | null {
  let found: ReturnType<typeof sizeOf>;
  try {
    found = sizeOf(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength));
  } catch (error) {
    if (error instanceof RangeError) return null; // The bytes end within the header.
    throw error;
  }
  if (found === undefined) return null;
  const [format, [width, height] = [0, 0]] = found;
  return width > 0 && height > 0 ? { format, width, height } : null;
}

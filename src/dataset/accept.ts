/** Deciding whether a file may enter the training set, before and after it is decoded. */
import { LoratoryError } from '../core/errors.ts';
import type { RgbImage } from '../core/image.ts';
import { readImageSize } from '../formats/png.ts';

/** The file is not a picture in a form that every browser decodes. */
export class NotAnImageError extends LoratoryError {
  readonly code = 'not-an-image';

  constructor(fileName: string) {
    super(`${fileName} is not a PNG, JPEG, WebP, GIF or AVIF picture.`, 'Convert it to PNG or JPEG and add it again.', {
      fileName,
    });
  }
}

/** The file says that it is a picture, but it cannot be decoded. */
export class CorruptImageError extends LoratoryError {
  readonly code = 'corrupt-image';

  constructor(fileName: string, options?: ErrorOptions) {
    super(
      `${fileName} is damaged and cannot be decoded.`,
      'Open it in an image editor, save it again and add the new file.',
      { fileName },
      options,
    );
  }
}

/** Decoding the picture would take more memory than a training set is worth. */
export class ImageTooLargeError extends LoratoryError {
  readonly code = 'image-too-large';

  constructor(fileName: string, width: number, height: number) {
    super(
      `${fileName} is ${width} x ${height} pixels; at most ${maxSide} on a side and ${maxPixels / 1e6} million in all are taken.`,
      'Scale it down (training uses 768 pixels at most) and add it again.',
      { fileName, width, height, maxSide, maxPixels },
    );
  }
}

/** The picture is too small to learn from. */
export class ImageTooSmallError extends LoratoryError {
  readonly code = 'image-too-small';

  constructor(fileName: string, width: number, height: number) {
    super(
      `${fileName} is only ${width} x ${height} pixels; at least ${minSide} on a side are needed.`,
      'Use a larger version of the picture.',
      {
        fileName,
        width,
        height,
        minSide,
      },
    );
  }
}

/** The same picture is there already, to the byte. */
export class DuplicateImageError extends LoratoryError {
  readonly code = 'duplicate-image';

  constructor(fileName: string, presentName: string) {
    super(
      fileName === presentName
        ? `${fileName} is here already.`
        : `${fileName} is the same picture as ${presentName}, which is here already.`,
      'It was left out; to show it more often, raise its repeats.',
      { fileName, presentName },
    );
  }
}

export const maxSide = 16_384;
/** Decoding takes four bytes a pixel for a moment. */
const maxPixels = 120e6;
export const minSide = 16;
/** Pictures whose longer side has more pixels are shrunk to this when they are decoded: no training needs more. */
export const decodedSide = 4096;
/** The header of any of the formats lies within its first bytes, except behind long EXIF blocks of JPEGs. */
const headerBytes = 256 * 1024;

/** Checks a file by its first bytes, without decoding. `name` is for the error. */
export async function checkImageFile(file: Blob, name: string): Promise<void> {
  const size = readImageSize(new Uint8Array(await file.slice(0, headerBytes).arrayBuffer()));
  if (!size) throw new NotAnImageError(name);
  const { width, height } = size;
  if (width > maxSide || height > maxSide || width * height > maxPixels)
    throw new ImageTooLargeError(name, width, height);
  if (width < minSide || height < minSide) throw new ImageTooSmallError(name, width, height);
}

/** Checks and decodes with `decode` (the browser's or Node's decoder), whose failures become {@link CorruptImageError}s. */
export async function decodeImageFile<T>(file: Blob, name: string, decode: (file: Blob) => Promise<T>): Promise<T> {
  await checkImageFile(file, name);
  try {
    return await decode(file);
  } catch (cause) {
    throw new CorruptImageError(name, { cause });
  }
}

/** What a picture is scaled by when it is decoded; 1 for all but huge ones. */
export function decodeScale(width: number, height: number): number {
  return Math.min(1, decodedSide / Math.max(width, height));
}

/** A decoded picture with straight alpha, 4 bytes a pixel. */
export interface RgbaImage {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8ClampedArray | Uint8Array;
}

export type Rgb = readonly [red: number, green: number, blue: number];

export const white: Rgb = [255, 255, 255];
/** What is transparent in a mask is not learned. */
export const black: Rgb = [0, 0, 0];

/** `#rrggbb` as numbers; white if it is anything else. */
export function parseColour(text: string): Rgb {
  const match = /^#([0-9a-f]{2})([0-9a-f]{2})([0-9a-f]{2})$/i.exec(text);
  if (!match) return white;
  const [red = 0, green = 0, blue = 0] = match.slice(1).map((hex) => Number.parseInt(hex, 16));
  return [red, green, blue];
}

/** The picture over a colour. */
export function overColour({ width, height, data: rgba }: RgbaImage, colour: Rgb): RgbImage {
  const data = new Uint8Array(width * height * 3);
  for (let p = 0; p < width * height; p++) {
    const alpha = rgba[p * 4 + 3]! / 255;
    for (let k = 0; k < 3; k++) data[p * 3 + k] = Math.round(rgba[p * 4 + k]! * alpha + colour[k]! * (1 - alpha));
  }
  return { width, height, data };
}

/** Whether anything of the picture is transparent. */
export function hasAlpha({ data }: RgbaImage): boolean {
  for (let at = 3; at < data.length; at += 4) if (data[at]! < 255) return true;
  return false;
}

/** SHA-256 of a file, as hex digits: the same picture twice is noticed by it. */
export async function contentHash(file: Blob): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', await file.arrayBuffer()));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

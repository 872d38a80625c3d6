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
      `${fileName} is ${width} x ${height} pixels; at most ${maxSide} on a side are taken.`,
      'Scale it down (training uses 768 pixels at most) and add it again.',
      { fileName, width, height, maxSide },
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

export const maxSide = 8192;
export const minSide = 16;
/** The header of any of the formats lies within its first bytes, except behind long EXIF blocks of JPEGs. */
const headerBytes = 256 * 1024;

/** Checks a file by its first bytes, without decoding. `name` is for the error. */
export async function checkImageFile(file: Blob, name: string): Promise<void> {
  const size = readImageSize(new Uint8Array(await file.slice(0, headerBytes).arrayBuffer()));
  if (!size) throw new NotAnImageError(name);
  const { width, height } = size;
  if (width > maxSide || height > maxSide) throw new ImageTooLargeError(name, width, height);
  if (width < minSide || height < minSide) throw new ImageTooSmallError(name, width, height);
}

/** Checks and decodes with `decode` (the browser's or Node's decoder), whose failures become {@link CorruptImageError}s. */
export async function decodeImageFile(
  file: Blob,
  name: string,
  decode: (file: Blob) => Promise<RgbImage>,
): Promise<RgbImage> {
  await checkImageFile(file, name);
  try {
    return await decode(file);
  } catch (cause) {
    throw new CorruptImageError(name, { cause });
  }
}

/** RGB over white from RGBA, straight alpha. */
export function overWhite(rgba: Uint8ClampedArray | Uint8Array, width: number, height: number): RgbImage {
  const data = new Uint8Array(width * height * 3);
  for (let p = 0; p < width * height; p++) {
    const alpha = rgba[p * 4 + 3]! / 255;
    for (let k = 0; k < 3; k++) data[p * 3 + k] = Math.round(rgba[p * 4 + k]! * alpha + 255 * (1 - alpha));
  }
  return { width, height, data };
}

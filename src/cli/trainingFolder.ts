/** A folder of pictures with captions in `.txt` files of the same stem, as kohya's trainers take it. */
import { openAsBlob } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { LoratoryError, toPlainError, type PlainError } from '../core/errors.ts';
import { checkImageFile, decodeImageFile } from '../dataset/accept.ts';
import type { TrainingImage } from '../session/training.ts';
import { decodeInNode } from './decodeImage.ts';
import { FileNotFoundError } from './nodeFiles.ts';

const extensions = new Set(['.png', '.jpg', '.jpeg', '.webp', '.gif', '.avif', '.bmp', '.tif', '.tiff']);

/** The folder has no picture that can be trained on. */
export class NoImagesError extends LoratoryError {
  readonly code = 'no-images';

  constructor(folder: string, refused: number) {
    super(
      refused === 0 ? `${folder} holds no pictures.` : `None of the ${refused} pictures in ${folder} can be used.`,
      'Put PNG, JPEG, WebP, GIF or AVIF files into it, each with a .txt file of the same name for its caption.',
      { folder, refused },
    );
  }
}

export interface TrainingFolder {
  /** Sorted by name, as the browser's file lists are. */
  readonly images: readonly TrainingImage[];
  readonly refused: readonly PlainError[];
  /** Names of pictures without a caption. */
  readonly uncaptioned: readonly string[];
}

/** Reads a folder; files that cannot be used are listed, the rest goes on. */
export async function openTrainingFolder(folder: string): Promise<TrainingFolder> {
  let names: string[];
  try {
    names = (await readdir(folder)).filter((name) => extensions.has(extname(name).toLowerCase())).sort();
  } catch {
    throw new FileNotFoundError(folder, 'folder');
  }
  const images: TrainingImage[] = [];
  const refused: PlainError[] = [];
  const uncaptioned: string[] = [];
  for (const name of names) {
    const path = join(folder, name);
    try {
      const file = await openAsBlob(path);
      await checkImageFile(file, name);
      // Decoding now finds damaged files before the models are loaded; the pixels are not kept.
      await decodeImageFile(file, name, (blob) => decodeInNode(blob));
      const caption = await captionOf(join(folder, name.slice(0, -extname(name).length)));
      if (caption === '') uncaptioned.push(name);
      images.push({ id: name, caption, pixels: () => decodeImageFile(file, name, (blob) => decodeInNode(blob)) });
    } catch (error) {
      if (!(error instanceof LoratoryError)) throw error;
      refused.push(toPlainError(error));
    }
  }
  if (images.length === 0) throw new NoImagesError(folder, refused.length);
  return { images, refused, uncaptioned };
}

async function captionOf(stem: string): Promise<string> {
  try {
    return (await readFile(`${stem}.txt`, 'utf8')).trim();
  } catch {
    return '';
  }
}

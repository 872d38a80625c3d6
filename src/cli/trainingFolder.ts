/** A folder (or a zip) of pictures with their captions and masks, as kohya's trainers and Hugging Face's datasets lay it out: see dataset/sortFiles.ts. */
import { openAsBlob } from 'node:fs';
import { readdir, readFile, stat } from 'node:fs/promises';
import { basename, extname, join, sep } from 'node:path';
import type { RgbImage } from '../core/image.ts';
import { LoratoryError, toPlainError, type PlainError } from '../core/errors.ts';
import {
  black,
  checkImageFile,
  contentHash,
  decodeImageFile,
  DuplicateImageError,
  type Rgb,
} from '../dataset/accept.ts';
import { checkMaskShape } from '../dataset/mask.ts';
import { baseName, isLitter, type NamedFile, sortFiles, type SortedImage } from '../dataset/sortFiles.ts';
import { unzipFiles } from '../formats/unzip.ts';
import type { TrainingImage } from '../session/training.ts';
import { decodeInNode } from './decodeImage.ts';
import { FileNotFoundError } from './nodeFiles.ts';

const pictures = new Set(['.png', '.jpg', '.jpeg', '.webp', '.gif', '.avif', '.bmp', '.tif', '.tiff']);
const companions = new Set(['.txt', '.caption', '.jsonl']);

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

/** A picture of a folder, with the files themselves. */
export interface FolderImage extends TrainingImage {
  readonly file: Blob;
  /** SHA-256 of the file, hex. */
  readonly contentHash: string;
  readonly maskFile: Blob | null;
  /** The same of its mask's file; null: it has none. */
  readonly maskHash: string | null;
}

export interface TrainingFolder {
  /** Sorted by path, as the browser's file lists are; a picture's id is its path. */
  readonly images: readonly FolderImage[];
  readonly refused: readonly PlainError[];
  /** Paths of pictures without a caption. */
  readonly uncaptioned: readonly string[];
}

/** Reads a folder with those below it; files that cannot be used are listed, the rest goes on. */
export async function openTrainingFolder(folder: string, background?: Rgb): Promise<TrainingFolder> {
  const sorted = await sortFiles(await filesOf(folder));
  const images: FolderImage[] = [];
  const refused: PlainError[] = sorted.refused.map(({ error }) => error);
  const byHash = new Map<string, string>();
  const refuse = (error: unknown): void => {
    if (!(error instanceof LoratoryError)) throw error;
    refused.push(toPlainError(error));
  };
  for (const sortedImage of sorted.images) {
    try {
      const image = await openImage(sortedImage, byHash, background);
      const mask = sortedImage.mask && ((await openMask(sortedImage.mask, image).catch(refuse)) ?? null);
      const maskFile = mask && sortedImage.mask ? sortedImage.mask.file : null;
      images.push({ ...image, mask, maskFile, maskHash: maskFile && (await contentHash(maskFile)) });
    } catch (error) {
      refuse(error);
    }
  }
  if (images.length === 0) throw new NoImagesError(folder, refused.length);
  return { images, refused, uncaptioned: images.filter(({ caption }) => caption === '').map(({ id }) => id) };
}

async function openImage(
  { path, file, caption, repeats }: SortedImage,
  byHash: Map<string, string>,
  background: Rgb | undefined,
): Promise<Omit<FolderImage, 'maskFile' | 'maskHash'>> {
  const name = baseName(path);
  await checkImageFile(file, name);
  const hash = await contentHash(file);
  const present = byHash.get(hash);
  if (present !== undefined) throw new DuplicateImageError(path, present);
  const pixels = (): Promise<RgbImage> => decodeImageFile(file, name, (blob) => decodeInNode(blob, background));
  // Decoding now finds damaged files before the models are loaded; the pixels are not kept.
  await pixels();
  byHash.set(hash, path);
  return { id: path, caption: caption ?? '', repeats, pixels, file, contentHash: hash };
}

/** A mask that cannot be used throws; its image is used without it. */
async function openMask({ path, file }: NamedFile, image: TrainingImage): Promise<() => Promise<RgbImage>> {
  const pixels = (): Promise<RgbImage> => decodeImageFile(file, baseName(path), (blob) => decodeInNode(blob, black));
  checkMaskShape(await pixels(), baseName(path), await image.pixels());
  return pixels;
}

const isWanted = (path: string): boolean => {
  const extension = extname(path).toLowerCase();
  return !isLitter(path) && (pictures.has(extension) || companions.has(extension));
};

async function filesOf(folder: string): Promise<NamedFile[]> {
  const found = await stat(folder).catch(() => null);
  if (found?.isFile() && /\.zip$/i.test(folder)) {
    const zip = new Uint8Array(await readFile(folder));
    return [...unzipFiles(zip, basename(folder), isWanted)]
      .map(({ path, bytes }) => ({ path, file: new Blob([bytes]) }))
      .sort(byPath);
  }
  if (!found?.isDirectory()) throw new FileNotFoundError(folder, 'folder');
  const files: NamedFile[] = [];
  // Links are followed, so that a folder of links works too.
  for (const entry of await readdir(folder, { recursive: true })) {
    const path = entry.split(sep).join('/');
    if (!isWanted(path) || !(await stat(join(folder, entry)).catch(() => null))?.isFile()) continue;
    files.push({ path, file: await openAsBlob(join(folder, entry)) });
  }
  return files.sort(byPath);
}

function byPath(a: NamedFile, b: NamedFile): number {
  return a.path < b.path ? -1 : 1;
}

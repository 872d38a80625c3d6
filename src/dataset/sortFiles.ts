/**
 * What files are to a training set, by their names: pictures, and what belongs to them. One reading for what is dropped on the page and
 * for the command line's folders. Conventions of kohya's trainers and of Hugging Face's datasets:
 *
 * - `name.txt` or `name.caption`: the caption of the picture `name`
 * - `name.mask.png` (OneTrainer: `name-masklabel.png`): its mask
 * - `metadata.jsonl`: captions by file name, a JSON object a line, `{"file_name": "a.png", "text": "a cat"}`
 * - a folder `10_sks dog`: its pictures count ten times, and `sks dog` is their caption where they have none
 */
import { LoratoryError, toPlainError, type PlainError } from '../core/errors.ts';

/** A file and where it lies. */
export interface NamedFile {
  /** With folders, `/` between them. */
  readonly path: string;
  readonly file: Blob;
}

/** A picture with what belongs to it. */
export interface SortedImage extends NamedFile {
  readonly caption: string | null;
  /** From its folder's name; null where that says none. */
  readonly repeats: number | null;
  readonly mask: NamedFile | null;
}

export interface SortedFiles {
  readonly images: readonly SortedImage[];
  /** Captions and masks without a picture among these files, by the picture's stem: they may belong to one that is there already. */
  readonly orphanCaptions: readonly { readonly path: string; readonly stem: string; readonly caption: string }[];
  readonly orphanMasks: readonly (NamedFile & { readonly stem: string })[];
  readonly refused: readonly { readonly fileName: string; readonly error: PlainError }[];
}

/** A line of a metadata.jsonl says nothing. */
export class MetadataLineError extends LoratoryError {
  readonly code = 'metadata-line';

  constructor(fileName: string, line: number) {
    super(
      `Line ${line} of ${fileName} is no caption.`,
      'Each line is an object such as {"file_name": "a.png", "text": "a cat"}.',
      { fileName, line },
    );
  }
}

/** A caption file was given, but no picture has its name. */
export class OrphanCaptionError extends LoratoryError {
  readonly code = 'orphan-caption';

  constructor(fileName: string, stem: string) {
    super(
      `No image is called like ${fileName}.`,
      `Name the caption file like its image (${stem}.png and ${stem}.txt) and add both.`,
      { fileName },
    );
  }
}

/** A mask was given, but no picture has its name. */
export class OrphanMaskError extends LoratoryError {
  readonly code = 'orphan-mask';

  constructor(fileName: string, stem: string) {
    super(
      `No image is called like the mask ${fileName}.`,
      `Name the mask like its image (${stem}.png and ${stem}.mask.png) and add both.`,
      { fileName },
    );
  }
}

const captionName = /\.(txt|caption)$/i;
const maskName = /(\.mask|-masklabel)\.[a-z]+$/i;
/** What systems leave in folders and zips. */
const litter = /(^|\/)(__MACOSX\/|\.[^/]+$|Thumbs\.db$|desktop\.ini$)/i;

/** `cats/tom.png` -> `tom.png`. */
export function baseName(path: string): string {
  return path.slice(Math.max(path.lastIndexOf('/'), path.lastIndexOf('\\')) + 1);
}

/** The path without the last extension of its name: `cats/tom.png` -> `cats/tom`. */
export function withoutExtension(path: string): string {
  const dot = path.lastIndexOf('.');
  return dot > path.length - baseName(path).length ? path.slice(0, dot) : path;
}

/** True for files that nobody meant to give. */
export function isLitter(path: string): boolean {
  return litter.test(path);
}

/** kohya's `10_sks dog`. */
function folderMeans(path: string): { readonly repeats: number; readonly words: string } | null {
  const folder = baseName(path.slice(0, Math.max(0, path.length - baseName(path).length - 1)));
  const match = /^(\d+)_(.+)$/.exec(folder);
  const repeats = Number(match?.[1]);
  return match?.[2] !== undefined && repeats >= 1 ? { repeats, words: match[2].trim() } : null;
}

/** Sorts files; none is opened but captions. Pictures keep their order. */
export async function sortFiles(files: readonly NamedFile[]): Promise<SortedFiles> {
  const captions = new Map<string, { readonly path: string; readonly caption: string }>();
  const masks = new Map<string, NamedFile>();
  const listed = new Map<string, string>();
  const refused: { fileName: string; error: PlainError }[] = [];
  const pictures: NamedFile[] = [];
  for (const named of files) {
    const { path, file } = named;
    if (isLitter(path)) continue;
    if (baseName(path).toLowerCase() === 'metadata.jsonl') {
      for (const entry of metadataLines(await file.text(), path)) {
        if (entry instanceof MetadataLineError) refused.push({ fileName: baseName(path), error: toPlainError(entry) });
        else listed.set(entry.path, entry.caption);
      }
    } else if (captionName.test(path)) {
      captions.set(withoutExtension(path), { path, caption: (await file.text()).trim() });
    } else if (maskName.test(path)) masks.set(path.replace(maskName, ''), named);
    else pictures.push(named);
  }
  /** Of pictures: `a.png` and `a.jpg` share their caption, as with kohya. */
  const stems = new Set<string>();
  const images = pictures.map(({ path, file }) => {
    const stem = withoutExtension(path);
    const folder = folderMeans(path);
    const own = captions.get(stem);
    const mask = masks.get(stem);
    stems.add(stem);
    return {
      path,
      file,
      caption: own?.caption ?? listed.get(path) ?? folder?.words ?? null,
      repeats: folder?.repeats ?? null,
      mask: mask ?? null,
    };
  });
  return {
    images,
    orphanCaptions: [...captions].flatMap(([stem, caption]) =>
      stems.has(stem) ? [] : [{ ...caption, stem: baseName(stem) }],
    ),
    orphanMasks: [...masks].flatMap(([stem, mask]) => (stems.has(stem) ? [] : [{ ...mask, stem: baseName(stem) }])),
    refused,
  };
}

/** The captions of a metadata.jsonl, by the paths of their pictures. */
function metadataLines(text: string, path: string): (MetadataLineError | { path: string; caption: string })[] {
  const folder = path.slice(0, path.length - baseName(path).length);
  const lines = text.split('\n').map((line, index) => ({ line, number: index + 1 }));
  return lines
    .filter(({ line }) => line.trim() !== '')
    .map(({ line, number }) => {
      const entry = objectOf(line);
      const caption = entry['text'] ?? entry['caption'] ?? entry['prompt'];
      const fileName = entry['file_name'];
      return typeof fileName === 'string' && typeof caption === 'string'
        ? { path: folder + fileName, caption: caption.trim() }
        : new MetadataLineError(baseName(path), number);
    });
}

function objectOf(json: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(json);
    return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : {};
  } catch {
    return {};
  }
}

/** What the page may ask of the training images. */
import { type PlainError, toPlainError } from '../core/errors.ts';
import { checkImageFile, contentHash, decodeImageFile, DuplicateImageError } from '../dataset/accept.ts';
import { checkMaskShape } from '../dataset/mask.ts';
import {
  baseName,
  isLitter,
  type NamedFile,
  OrphanCaptionError,
  OrphanMaskError,
  sortFiles,
  withoutExtension,
} from '../dataset/sortFiles.ts';
import { unzipFiles } from '../formats/unzip.ts';
import type { DatasetStore } from '../storage/datasetStore.ts';
import { compactMask, decodeMaskInBrowser, inspectInBrowser, previewInBrowser } from './decodeImage.ts';
import type { AddImagesResult, DatasetImage, GivenFile, ImageChange } from './protocol.ts';
import type { Handlers, RequestContext } from './server.ts';

type DatasetRequests = Extract<keyof Handlers, `dataset.${string}`>;

export function createDatasetHandlers(dataset: DatasetStore): Pick<Handlers, DatasetRequests> {
  return {
    'dataset.list': () => dataset.list(),
    'dataset.add': ({ files }, context) => addFiles(dataset, files, context),
    'dataset.preview': async ({ id }) => previewInBrowser(await dataset.original(id)),
    'dataset.update': async ({ changes }) => {
      await dataset.update(changes);
      return null;
    },
    'dataset.remove': async ({ ids }) => {
      await dataset.remove(ids);
      return null;
    },
    'dataset.restore': ({ ids }) => dataset.restore(ids),
  };
}

/** Takes in what can be taken in, file by file, and says of the rest why not. */
async function addFiles(
  dataset: DatasetStore,
  files: readonly GivenFile[],
  { signal, emit }: RequestContext,
): Promise<AddImagesResult> {
  const refused: { fileName: string; error: PlainError }[] = [];
  const refuse = (fileName: string, error: unknown): void =>
    void refused.push({ fileName, error: toPlainError(error) });
  const sorted = await sortFiles(await unpackZips(files, refuse));
  refused.push(...sorted.refused);
  const known = new KnownImages(dataset, await dataset.list());
  const added: DatasetImage[] = [];
  const changed = new Set<string>();
  const total = sorted.images.length;
  for (const [done, { path, file, caption, repeats, mask }] of sorted.images.entries()) {
    signal.throwIfAborted();
    emit('dataset.progress', { done, total });
    const fileName = baseName(path);
    try {
      await checkImageFile(file, fileName);
      const hash = await contentHash(file);
      const present = await known.find(file, hash);
      if (present) {
        const newMask = mask && (await readMask(mask, present, refuse));
        const given: ImageChange = {
          id: present.id,
          ...(caption === null || caption === present.caption ? {} : { caption }),
          ...(newMask === null ? {} : { mask: newMask }),
        };
        // The same picture again, with something new about it, brings just that.
        if (Object.keys(given).length === 1) throw new DuplicateImageError(fileName, present.fileName);
        await dataset.update([given]);
        changed.add(present.id);
        continue;
      }
      const facts = await decodeImageFile(file, fileName, inspectInBrowser);
      const [image] = await dataset.add([
        {
          ...facts,
          fileName,
          caption: caption ?? '',
          repeats,
          original: file,
          contentHash: hash,
          mask: mask && (await readMask(mask, facts, refuse)),
        },
      ]);
      if (image) {
        added.push(image);
        known.add(image);
      }
    } catch (error) {
      refuse(fileName, error);
    }
  }
  emit('dataset.progress', { done: total, total });
  for (const id of await giveToPresent(dataset, sorted, refuse)) changed.add(id);
  return { added, changed: await Promise.all([...changed].map((id) => dataset.get(id))), refused };
}

/** Captions and masks for images that are there already, by their names. Returns the ids of those. */
async function giveToPresent(
  dataset: DatasetStore,
  { orphanCaptions, orphanMasks }: Awaited<ReturnType<typeof sortFiles>>,
  refuse: (fileName: string, error: unknown) => void,
): Promise<ReadonlySet<string>> {
  const changed = new Set<string>();
  if (orphanCaptions.length + orphanMasks.length === 0) return changed;
  const present = await dataset.list();
  const called = (stem: string): DatasetImage[] =>
    present.filter(({ fileName }) => withoutExtension(fileName) === stem);
  for (const { path, stem, caption } of orphanCaptions) {
    const images = called(stem);
    if (images.length === 0) refuse(baseName(path), new OrphanCaptionError(baseName(path), stem));
    await dataset.update(images.map(({ id }) => ({ id, caption })));
    for (const { id } of images) changed.add(id);
  }
  for (const named of orphanMasks) {
    const images = called(named.stem);
    if (images.length === 0) refuse(baseName(named.path), new OrphanMaskError(baseName(named.path), named.stem));
    for (const image of images) {
      const mask = await readMask(named, image, refuse);
      if (mask === null) continue;
      await dataset.update([{ id: image.id, mask }]);
      changed.add(image.id);
    }
  }
  return changed;
}

/** The mask as it is kept, or null if it is refused: its image is taken without it. */
async function readMask(
  { path, file }: NamedFile,
  image: { readonly width: number; readonly height: number },
  refuse: (fileName: string, error: unknown) => void,
): Promise<Blob | null> {
  const name = baseName(path);
  try {
    checkMaskShape(await decodeImageFile(file, name, decodeMaskInBrowser), name, image);
    return await compactMask(file);
  } catch (error) {
    refuse(name, error);
    return null;
  }
}

/** All files, those of zips in the place of the zips. */
async function unpackZips(
  files: readonly GivenFile[],
  refuse: (fileName: string, error: unknown) => void,
): Promise<GivenFile[]> {
  const unpacked: GivenFile[] = [];
  for (const given of files) {
    if (!/\.zip$/i.test(given.path)) {
      unpacked.push(given);
      continue;
    }
    const name = baseName(given.path);
    try {
      const zip = new Uint8Array(await given.file.arrayBuffer());
      for (const { path, bytes } of unzipFiles(zip, name, (inside) => !isLitter(inside)))
        unpacked.push({ path, file: new Blob([bytes]) });
    } catch (error) {
      refuse(name, error);
    }
  }
  return unpacked;
}

/** Finds the same picture by its hash. Images of older versions have none: theirs is computed when one of the same size is given. */
class KnownImages {
  readonly #byHash = new Map<string, DatasetImage>();
  readonly #unhashed: DatasetImage[] = [];

  constructor(
    private readonly dataset: DatasetStore,
    images: readonly DatasetImage[],
  ) {
    for (const image of images) {
      if (image.contentHash === '') this.#unhashed.push(image);
      else this.#byHash.set(image.contentHash, image);
    }
  }

  async find(file: Blob, hash: string): Promise<DatasetImage | undefined> {
    const found = this.#byHash.get(hash);
    if (found) return found;
    for (const image of this.#unhashed) {
      const original = await this.dataset.original(image.id);
      if (original.size !== file.size || (await contentHash(original)) !== hash) continue;
      await this.dataset.update([{ id: image.id, contentHash: hash }]);
      return image;
    }
    return undefined;
  }

  add(image: DatasetImage): void {
    this.#byHash.set(image.contentHash, image);
  }
}

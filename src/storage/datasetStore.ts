/**
 * The training images of this browser: originals as they were dropped, never re-encoded, and what the page shows of them.
 *
 * Records: ['meta', id] {@link ImageMeta}; ['original', id] Blob; ['thumbnail', id] Blob; ['mask', id] Blob, where there is one. They lie
 * apart, so that a caption edited letter by letter never rewrites megabytes.
 */
import { LoratoryError } from '../core/errors.ts';
import { defined } from '../core/invariant.ts';
import type { DatasetImage, ImageChange } from '../worker/protocol.ts';
import { type RecordKey, Records, type RecordsOptions, request, under } from './records.ts';

/** An image that is no longer (or never was) in the dataset. */
export class ImageNotStoredError extends LoratoryError {
  readonly code = 'image-not-stored';

  constructor(id: string) {
    super(`The training image ${id} is no longer in this browser.`, 'Add the image again.', { id });
  }
}

/** An image to add. `width` and `height` are those of the original, in pixels. */
export interface NewDatasetImage
  extends Pick<DatasetImage, 'fileName' | 'width' | 'height' | 'caption' | 'thumbnail'>, Partial<Optional> {
  /** The file as it was dropped. */
  readonly original: Blob;
  readonly mask?: Blob | null;
}

/** What a record may lack: images that an older version took in have none of it. */
type Optional = Pick<DatasetImage, 'repeats' | 'crop' | 'heldOut' | 'hasAlpha' | 'contentHash'>;

const absent: Optional = { repeats: null, crop: null, heldOut: false, hasAlpha: false, contentHash: '' };

interface ImageMeta extends Pick<DatasetImage, 'id' | 'fileName' | 'width' | 'height' | 'caption'>, Partial<Optional> {
  /** Place in the dataset; ties (two tabs that add at once) are broken by id. */
  readonly order: number;
  /** When it was removed, in milliseconds since 1970; null while it is in the dataset. */
  readonly removedAt: number | null;
}

const KINDS = ['meta', 'original', 'thumbnail', 'mask'] as const;

/** The images, in the order in which they were added. Writes throw StorageQuotaError when they do not fit. */
export class DatasetStore {
  readonly #records: Records;

  constructor(options: RecordsOptions = {}) {
    this.#records = new Records(options.database ?? 'loratory-dataset', options.storage);
  }

  /** Adds images behind those that are there; all of them or, when they do not fit, none. */
  async add(images: readonly NewDatasetImage[]): Promise<DatasetImage[]> {
    const bytes = images.reduce((sum, image) => sum + image.original.size + image.thumbnail.size, 0);
    await this.#records.ensureRoom(bytes);
    return this.#records.transact(async (store) => {
      const metas = await request<ImageMeta[]>(store.getAll(under(['meta'])));
      const next = metas.reduce((highest, meta) => Math.max(highest, meta.order + 1), 0);
      return images.map(({ original, thumbnail, mask = null, ...facts }, index) => {
        const id = crypto.randomUUID();
        const meta: ImageMeta = { ...facts, id, order: next + index, removedAt: null };
        store.put(meta, ['meta', id]);
        store.put(original, ['original', id]);
        store.put(thumbnail, ['thumbnail', id]);
        if (mask !== null) store.put(mask, ['mask', id]);
        return toDatasetImage(meta, thumbnail, mask);
      });
    }, bytes);
  }

  /** The images of the dataset, without those that were removed. */
  async list(): Promise<DatasetImage[]> {
    const metas = (await this.#records.valuesUnder<ImageMeta>(['meta'])).filter((meta) => meta.removedAt === null);
    return this.#withPictures(metas);
  }

  /** One image. Throws {@link ImageNotStoredError}. */
  async get(id: string): Promise<DatasetImage> {
    const meta = await this.#records.get<ImageMeta>(['meta', id]);
    if (meta === undefined) throw new ImageNotStoredError(id);
    const [image] = await this.#withPictures([meta]);
    return defined(image);
  }

  /** The file as it was dropped. Throws {@link ImageNotStoredError}. */
  async original(id: string): Promise<Blob> {
    const original = await this.#records.get<Blob>(['original', id]);
    if (original === undefined) throw new ImageNotStoredError(id);
    return original;
  }

  /** Makes all `changes` or, if an image is gone or they do not fit, none. Throws {@link ImageNotStoredError}. */
  async update(changes: readonly (ImageChange & Partial<Pick<DatasetImage, 'contentHash'>>)[]): Promise<void> {
    const bytes = changes.reduce((sum, { mask }) => sum + (mask?.size ?? 0), 0);
    await this.#records.transact(async (store) => {
      for (const { id, mask, ...facts } of changes) {
        const meta = await request<ImageMeta | undefined>(store.get(['meta', id]));
        if (meta === undefined) throw new ImageNotStoredError(id);
        store.put({ ...meta, ...facts }, ['meta', id]);
        if (mask === null) store.delete(['mask', id]);
        else if (mask !== undefined) store.put(mask, ['mask', id]);
      }
    }, bytes);
  }

  /** Takes images out of the dataset, so that {@link restore} can bring them back. Unknown ids are passed over. */
  async remove(ids: readonly string[], now = Date.now()): Promise<void> {
    await this.#change(ids, (meta) => ({ ...meta, removedAt: now }), 'pass over');
  }

  /** Undoes {@link remove}: the images are in their old places again. Throws {@link ImageNotStoredError} if one was purged. */
  async restore(ids: readonly string[]): Promise<DatasetImage[]> {
    return this.#withPictures(await this.#change(ids, (meta) => ({ ...meta, removedAt: null })));
  }

  /** Deletes for good what was removed before `before` (milliseconds since 1970), except images that are `needed`. For the start of a page. */
  async purgeRemoved(before: number, needed: ReadonlySet<string> = new Set()): Promise<void> {
    await this.#records.transact(async (store) => {
      for (const { id, removedAt } of await request<ImageMeta[]>(store.getAll(under(['meta'])))) {
        if (removedAt === null || removedAt >= before || needed.has(id)) continue;
        for (const kind of KINDS) store.delete([kind, id]);
      }
    });
  }

  async #withPictures(metas: readonly ImageMeta[]): Promise<DatasetImage[]> {
    const sorted = metas.toSorted((a, b) => a.order - b.order || (a.id < b.id ? -1 : 1));
    return Promise.all(
      sorted.map(async (meta) => {
        const [thumbnail, mask] = await Promise.all([
          this.#records.get<Blob>(['thumbnail', meta.id]),
          this.#records.get<Blob>(['mask', meta.id]),
        ]);
        if (thumbnail === undefined) throw new ImageNotStoredError(meta.id);
        return toDatasetImage(meta, thumbnail, mask ?? null);
      }),
    );
  }

  /** Rewrites the metadata of `ids` in one transaction; all of them or none. */
  async #change(
    ids: readonly string[],
    change: (meta: ImageMeta) => ImageMeta,
    unknown: 'throw' | 'pass over' = 'throw',
  ): Promise<ImageMeta[]> {
    return this.#records.transact(async (store) => {
      const changed: ImageMeta[] = [];
      for (const id of ids) {
        const key: RecordKey = ['meta', id];
        const meta = await request<ImageMeta | undefined>(store.get(key));
        if (meta === undefined && unknown === 'throw') throw new ImageNotStoredError(id);
        if (meta === undefined) continue;
        const next = change(meta);
        store.put(next, key);
        changed.push(next);
      }
      return changed;
    });
  }
}

function toDatasetImage(meta: ImageMeta, thumbnail: Blob, mask: Blob | null): DatasetImage {
  const { order: _order, removedAt: _removedAt, ...facts } = meta;
  return { ...absent, ...facts, thumbnail, mask };
}

/**
 * The gallery: pictures that were drawn here, with what they were drawn with.
 *
 * Records: ['picture', id] {@link PictureRecord}; ['png', id] Blob. The files lie apart, so that the list is read without them.
 */
import { LoratoryError } from '../core/errors.ts';
import type { GalleryPicture, NewGalleryPicture } from '../worker/protocol.ts';
import { type RecordKey, Records, type RecordsOptions, request, under } from './records.ts';

/** A picture that is no longer (or never was) in the gallery. */
export class PictureNotStoredError extends LoratoryError {
  readonly code = 'picture-not-stored';

  constructor(id: string) {
    super(`The picture ${id} is no longer in this browser.`, 'Draw it again, or drop its PNG on the prompt.', { id });
  }
}

interface PictureRecord {
  readonly picture: Omit<GalleryPicture, 'png'>;
  /** When it was removed, in milliseconds since 1970; null while it is in the gallery. */
  readonly removedAt: number | null;
}

/** The pictures, the oldest first. Writes throw StorageQuotaError when they do not fit. */
export class PictureStore {
  readonly #records: Records;

  constructor(options: RecordsOptions = {}) {
    this.#records = new Records(options.database ?? 'loratory-pictures', options.storage);
  }

  async add(picture: NewGalleryPicture): Promise<GalleryPicture> {
    await this.#records.ensureRoom(picture.png.size);
    return this.#records.transact(async (store) => {
      const { png, ...about } = picture;
      const record: PictureRecord = { picture: { ...about, id: crypto.randomUUID() }, removedAt: null };
      store.put(record, ['picture', record.picture.id]);
      store.put(png, ['png', record.picture.id]);
      return { ...record.picture, png };
    }, picture.png.size);
  }

  /** The pictures of the gallery, without those that were removed. */
  async list(): Promise<GalleryPicture[]> {
    const records = await this.#records.valuesUnder<PictureRecord>(['picture']);
    return this.#withFiles(records.filter(({ removedAt }) => removedAt === null));
  }

  /** Takes pictures out, so that {@link restore} can bring them back. Unknown ids are passed over. */
  async remove(ids: readonly string[], now = Date.now()): Promise<void> {
    await this.#change(ids, (record) => ({ ...record, removedAt: now }), 'pass over');
  }

  /** Undoes {@link remove}. Throws {@link PictureNotStoredError} if one was purged. */
  async restore(ids: readonly string[]): Promise<GalleryPicture[]> {
    return this.#withFiles(await this.#change(ids, (record) => ({ ...record, removedAt: null }), 'throw'));
  }

  /** Deletes for good what was removed before `before` (milliseconds since 1970). For the start of a page. */
  async purgeRemoved(before: number): Promise<void> {
    await this.#records.transact(async (store) => {
      for (const { picture, removedAt } of await request<PictureRecord[]>(store.getAll(under(['picture'])))) {
        if (removedAt === null || removedAt >= before) continue;
        store.delete(['picture', picture.id]);
        store.delete(['png', picture.id]);
      }
    });
  }

  async #withFiles(records: readonly PictureRecord[]): Promise<GalleryPicture[]> {
    const pictures = await Promise.all(
      records.map(async ({ picture }) => {
        const png = await this.#records.get<Blob>(['png', picture.id]);
        if (png === undefined) throw new PictureNotStoredError(picture.id);
        return { ...picture, png };
      }),
    );
    return pictures.sort((a, b) => a.savedAt - b.savedAt || (a.id < b.id ? -1 : 1));
  }

  async #change(
    ids: readonly string[],
    change: (record: PictureRecord) => PictureRecord,
    unknown: 'throw' | 'pass over',
  ): Promise<PictureRecord[]> {
    return this.#records.transact(async (store) => {
      const changed: PictureRecord[] = [];
      for (const id of ids) {
        const key: RecordKey = ['picture', id];
        const record = await request<PictureRecord | undefined>(store.get(key));
        if (record === undefined && unknown === 'throw') throw new PictureNotStoredError(id);
        if (record === undefined) continue;
        const next = change(record);
        store.put(next, key);
        changed.push(next);
      }
      return changed;
    });
  }
}

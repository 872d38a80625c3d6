/**
 * Class images of prior preservation, kept for the next run that wants the same: see session/classImages.ts.
 *
 * Records: ['image', key, index] Blob. A key names what the pictures were drawn from.
 */
import { type RecordKey, Records, type RecordsOptions } from './records.ts';

export class ClassImageStore {
  readonly #records: Records;

  constructor(options: RecordsOptions = {}) {
    this.#records = new Records(options.database ?? 'loratory-class-images', options.storage);
  }

  /** The first pictures of a set, at most `count`, as far as none is missing. */
  async load(key: string, count: number): Promise<Blob[]> {
    const pictures: Blob[] = [];
    while (pictures.length < count) {
      const picture = await this.#records.get<Blob>(this.#key(key, pictures.length));
      if (picture === undefined) break;
      pictures.push(picture);
    }
    return pictures;
  }

  /** Throws StorageQuotaError when it does not fit. */
  async keep(key: string, index: number, picture: Blob): Promise<void> {
    await this.#records.put([[this.#key(key, index), picture]], picture.size);
  }

  #key(key: string, index: number): RecordKey {
    return ['image', key, index];
  }
}

/**
 * What was found out about this machine's GPU: the tiles that are fastest for each matrix product (gpu/kernels/tileTuner.ts).
 *
 * Records: ['tile', device, key] the shape's name. One for each product, so that tabs that write at the same time lose nothing.
 */
import { Records, type RecordsOptions, request, under } from './records.ts';

/** More than any model and size of picture needs; beyond it all is forgotten and measured again, and so what old shaders left. */
const mostChoices = 4000;

/** Implements `TunerMemory` of gpu/tuner.ts. */
export class TileStore {
  readonly #records: Records;

  constructor(options: RecordsOptions = {}) {
    this.#records = new Records(options.database ?? 'loratory-tiles', options.storage);
  }

  async load(device: string): Promise<(readonly [key: string, choice: string])[]> {
    const prefix = ['tile', device];
    return this.#records.transact(async (store) => {
      const [keys, choices] = await Promise.all([
        request<IDBValidKey[]>(store.getAllKeys(under(prefix))),
        request<string[]>(store.getAll(under(prefix))),
      ]);
      return choices.map((choice, i) => [(keys[i] as string[])[2]!, choice] as const);
    });
  }

  async save(device: string, choices: readonly (readonly [key: string, choice: string])[]): Promise<void> {
    await this.#records.transact(async (store) => {
      if ((await request(store.count())) + choices.length > mostChoices) store.clear();
      for (const [key, choice] of choices) store.put(choice, ['tile', device, key]);
    });
  }
}

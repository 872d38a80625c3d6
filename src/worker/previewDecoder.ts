/** TAESD's decoder, fetched once from a Hub when the person asks, and lent to every downloaded model that has none of its own. */
import { LoratoryError } from '../core/errors.ts';
import { blobSource, type FileTree } from '../core/files.ts';
import { openSafetensors } from '../formats/safetensors.ts';
import { fetchHubLora } from '../hub/hubLoras.ts';
import { findTaesd } from '../models/taesd.ts';
import { type LibraryEntry, LibraryStore } from '../storage/libraryStore.ts';
import type { DownloadProgress, HubRepository } from './protocol.ts';

/** The author's own name of the file in his repository, madebyollin/taesd. */
const fileName = 'taesd_decoder.safetensors';
const path = `taesd/${fileName}`;
const id = 'decoder';

/** The file is no decoder of latents with four channels. */
export class NotATaesdError extends LoratoryError {
  readonly code = 'not-a-taesd';

  constructor(repository: string) {
    super(
      `${fileName} of ${repository} is no TAESD decoder for Stable Diffusion 1.5.`,
      'Take the repository madebyollin/taesd.',
      { repository },
    );
  }
}

export class PreviewDecoder {
  private readonly store = new LibraryStore<LibraryEntry>('taesd');
  private readonly ready: Promise<void>;
  private file: Blob | null = null;

  constructor() {
    this.ready = this.load();
    // Without storage there are previews by colours.
    this.ready.catch(() => undefined);
  }

  async isStored(): Promise<boolean> {
    await this.ready;
    return this.file !== null;
  }

  /** Throws {@link NotATaesdError} and the errors of fetchHubLora. */
  async fetch(
    request: HubRepository,
    options: { readonly signal: AbortSignal; readonly onProgress: (progress: DownloadProgress) => void },
  ): Promise<void> {
    const { file } = await fetchHubLora({ ...request, path: fileName }, options);
    const tensors = await openSafetensors(blobSource(fileName, file));
    const inChannels = tensors.has('1.weight') ? tensors.info('1.weight').shape[1] : undefined;
    if (inChannels !== 4 || !tensors.has('19.weight')) throw new NotATaesdError(request.id);
    await this.store.add({ id, addedAt: Date.now() }, file);
    this.file = file;
  }

  /** The model's files, with the decoder beside them as soon as there is one. */
  async lendTo(tree: FileTree): Promise<FileTree> {
    await this.ready.catch(() => undefined);
    if (findTaesd(tree) !== null) return tree;
    return {
      name: tree.name,
      list: () => (this.file ? [...tree.list(), path].sort() : tree.list()),
      has: (wanted) => tree.has(wanted) || (wanted === path && this.file !== null),
      open: async (wanted) => (wanted === path && this.file ? blobSource(fileName, this.file) : tree.open(wanted)),
    };
  }

  private async load(): Promise<void> {
    const [entry] = await this.store.list();
    if (entry) this.file = await this.store.file(entry.id);
  }
}

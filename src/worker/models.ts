/** The models that can be chosen: the one that comes with the page, and those that were downloaded from a Hub. */
import { demoModel } from '../core/demoModel.ts';
import { LoratoryError } from '../core/errors.ts';
import type { FileTree } from '../core/files.ts';
import type { BuiltInModel, BuiltInOptions } from '../hub/builtInModel.ts';
import { downloadModel, type DownloadOptions } from '../hub/downloadModel.ts';
import { ConfigReader } from '../models/config.ts';
import { parseUNetConfig } from '../models/unetConfig.ts';
import { parseVaeConfig } from '../models/vae.ts';
import type { ModelStore } from '../storage/modelStore.ts';
import type { PreviewDecoder } from './previewDecoder.ts';
import type { ListedModel, ModelRequest, StoredModel } from './protocol.ts';

/** The built-in model was to be deleted. */
export class BuiltInModelDeletionError extends LoratoryError {
  readonly code = 'built-in-model-deletion';

  constructor() {
    super('The demo model belongs to the page and cannot be deleted.', 'Choose another model instead.');
  }
}

type Sizes = Pick<ListedModel, 'imageSize' | 'sizeUnit'>;

export class Models {
  constructor(
    private readonly store: ModelStore,
    private readonly builtIn: BuiltInModel,
    private readonly previews: Pick<PreviewDecoder, 'lendTo'> | null = null,
  ) {}

  /** All that can be chosen, the built-in model first. It is left out where this page was published without it. */
  async list(): Promise<ListedModel[]> {
    const stored = await Promise.all(
      (await this.store.list()).map(async (model) => ({
        ...model,
        ...(await sizesOf(await this.store.openTree(model.id))),
        isBuiltIn: model.id === demoModel.id,
      })),
    );
    const published = await this.published();
    const downloaded = stored.filter(({ isBuiltIn }) => !isBuiltIn);
    // Without a network, the version that was fetched before.
    const first = published ?? stored.find(({ isBuiltIn }) => isBuiltIn);
    return first === undefined ? downloaded : [first, ...downloaded];
  }

  /** The files of a model. The built-in one is fetched if need be: the options are for that. */
  async openTree(id: string, options: BuiltInOptions = {}): Promise<FileTree> {
    if (id === demoModel.id) return this.builtIn.openTree(options);
    const tree = await this.store.openTree(id);
    return this.previews?.lendTo(tree) ?? tree;
  }

  /** Downloads what is missing of a model of a Hub. */
  async download(request: ModelRequest, options: DownloadOptions): Promise<StoredModel> {
    return downloadModel(request, this.store, options);
  }

  /** Throws {@link BuiltInModelDeletionError} for the built-in model. */
  async delete(id: string): Promise<void> {
    if (id === demoModel.id) throw new BuiltInModelDeletionError();
    await this.store.delete(id);
  }

  private async published(): Promise<ListedModel | null> {
    try {
      const { revision, imageSize, sizeUnit, files } = await this.builtIn.list();
      const bytes = files.reduce((sum, { size }) => sum + size, 0);
      return { id: demoModel.id, revision, bytes, savedAt: 0, imageSize, sizeUnit, isBuiltIn: true };
    } catch {
      // Whoever opens it is told why; the list only says what can be had.
      return null;
    }
  }
}

const sizesOfSD15: Sizes = { imageSize: 512, sizeUnit: 8 };

/** What the configs say; a model whose configs cannot be read is refused when it is opened, by name. */
async function sizesOf(tree: FileTree): Promise<Sizes> {
  try {
    const { sampleSize } = parseUNetConfig(await ConfigReader.open(tree, 'unet/config.json'));
    const { blockOutChannels } = parseVaeConfig(await ConfigReader.open(tree, 'vae/config.json'));
    const sizeUnit = 2 ** (blockOutChannels.length - 1);
    return { imageSize: sampleSize * sizeUnit, sizeUnit };
  } catch (error) {
    if (error instanceof LoratoryError) return sizesOfSD15;
    throw error;
  }
}

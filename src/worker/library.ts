/** The library's requests: LoRA and embedding files that were dropped in or fetched from a Hub. */
import { toPlainError } from '../core/errors.ts';
import { blobSource, bytesSource } from '../core/files.ts';
import { describeLora, type LoraDescription } from '../export/describe.ts';
import { checkTools } from '../export/toolCheck.ts';
import { readLora } from '../formats/lora/readLora.ts';
import { openSafetensors, type SafetensorsFile } from '../formats/safetensors.ts';
import { readTextualInversion } from '../formats/textualInversion.ts';
import { fetchHubLora, listHubLoras, searchHubLoras } from '../hub/hubLoras.ts';
import { sd15ModuleNames, sd15Modules } from '../models/adaptable.ts';
import type { DiffusionModel } from '../models/repository.ts';
import type { TokenEmbedding } from '../prompts/chunks.ts';
import { LibraryStore } from '../storage/libraryStore.ts';
import type { RunStore } from '../storage/runStore.ts';
import { LoraSources } from './loraSources.ts';
import type { AddFilesResult, LibraryEmbedding, LibraryLora, LoraAbout, LoraInfo } from './protocol.ts';
import type { Handlers } from './server.ts';

export type LibraryRequest = Extract<keyof Handlers, `loras.${string}` | `embeddings.${string}`>;

export class Library {
  private readonly loras = new LibraryStore<LibraryLora>('lora');
  private readonly embeddings = new LibraryStore<LibraryEmbedding>('embedding');
  readonly sources: LoraSources;

  constructor(runs: RunStore) {
    this.sources = new LoraSources(runs, this.loras);
  }

  async purgeRemoved(before: number): Promise<void> {
    await this.loras.purgeRemoved(before);
    await this.embeddings.purgeRemoved(before);
  }

  listLoras(): Promise<LibraryLora[]> {
    return this.loras.list();
  }

  /** What the prompts may name: the files of these ids, or all that fit the model. */
  async embeddingsFor(
    { textConfig, tokenizer }: Pick<DiffusionModel, 'textConfig' | 'tokenizer'>,
    ids?: readonly string[],
  ): Promise<TokenEmbedding[]> {
    const limits = { width: textConfig.hiddenSize, longest: tokenizer.modelMaxLength - 2 };
    const entries = ids
      ? await Promise.all(ids.map((id) => this.embeddings.get(id)))
      : (await this.embeddings.list()).filter(({ width }) => width === limits.width);
    const found: TokenEmbedding[] = [];
    for (const { id, fileName } of entries) {
      const known = this.readEmbeddings.get(id) ?? [];
      if (known.length === 0) {
        const source = blobSource(fileName, await this.embeddings.file(id));
        const { names, vectors } = await readTextualInversion(source, limits);
        known.push(...names.map((name) => ({ name, vectors })));
        this.readEmbeddings.set(id, known);
      }
      found.push(...known);
    }
    return found;
  }

  /** Read once: encoded prompts are remembered as long as they are made with the same objects. */
  private readonly readEmbeddings = new Map<string, TokenEmbedding[]>();

  handlers(): Pick<Handlers, LibraryRequest> {
    return {
      'loras.list': () => this.loras.list(),
      'loras.add': ({ files }, { signal }) =>
        addEach(files, signal, (file) => this.addLora(file, file.name, { kind: 'file' })),
      'loras.addFromHub': async (request, { signal, emit }) => {
        const { file, repoId, path, revision } = await fetchHubLora(request, {
          signal,
          onProgress: (progress) => emit('download.progress', progress),
        });
        const fileName = path.split('/').at(-1)!;
        return this.addLora(file, fileName, { kind: 'hub', repoId, path, revision });
      },
      'loras.hubFiles': (request, { signal }) => listHubLoras(request, signal),
      'loras.search': (request, { signal }) => searchHubLoras(request, signal),
      'loras.rename': async ({ id, name }) => {
        await this.loras.change(id, (lora) => ({ ...lora, name }));
        return null;
      },
      'loras.remove': async ({ ids }) => {
        await this.loras.remove(ids);
        return null;
      },
      'loras.restore': ({ ids }) => this.loras.restore(ids),
      'loras.info': async (request) => {
        if ('file' in request) return infoOf(request.file, request.file.name, stemOf(request.file.name));
        const { name, fileName } = await this.sources.identify(request.source);
        return infoOf(new Blob([await this.sources.bytes(request.source)]), fileName, name);
      },
      'loras.export': async ({ id }) => ({
        fileName: (await this.loras.get(id)).fileName,
        blob: await this.loras.file(id),
      }),
      'embeddings.list': () => this.embeddings.list(),
      'embeddings.add': ({ files }, { signal }) => addEach(files, signal, (file) => this.addEmbedding(file)),
      'embeddings.remove': async ({ ids }) => {
        await this.embeddings.remove(ids);
        return null;
      },
      'embeddings.restore': ({ ids }) => this.embeddings.restore(ids),
    };
  }

  /** Throws SafetensorsError or LoraFileError for what cannot be drawn with. */
  private async addLora(file: Blob, fileName: string, origin: LibraryLora['origin']): Promise<LibraryLora> {
    const opened = await openSafetensors(bytesSource(fileName, new Uint8Array(await file.arrayBuffer())));
    await readLora(opened, sd15ModuleNames());
    const { about, hash } = await aboutOf(opened);
    const entry: LibraryLora = {
      // The same file added again is the same entry.
      id: `${hash}-${file.size}`,
      name: stemOf(fileName),
      fileName,
      origin,
      bytes: file.size,
      addedAt: Date.now(),
      hash,
      about,
    };
    await this.loras.add(entry, file);
    return entry;
  }

  /** Throws TextualInversionError or SafetensorsError. */
  private async addEmbedding(file: File): Promise<LibraryEmbedding> {
    const { names, vectors } = await readTextualInversion(blobSource(file.name, file), { longest: 75 });
    const entry: LibraryEmbedding = {
      id: `${file.name}-${file.size}`,
      fileName: file.name,
      names,
      tokens: vectors.length,
      width: vectors[0]!.length,
      bytes: file.size,
      addedAt: Date.now(),
    };
    await this.embeddings.add(entry, file);
    this.readEmbeddings.delete(entry.id);
    return entry;
  }
}

async function addEach<T>(
  files: readonly File[],
  signal: AbortSignal,
  add: (file: File) => Promise<T>,
): Promise<AddFilesResult<T>> {
  const added: T[] = [];
  const refused: { fileName: string; error: ReturnType<typeof toPlainError> }[] = [];
  for (const file of files) {
    signal.throwIfAborted();
    try {
      added.push(await add(file));
    } catch (error) {
      refused.push({ fileName: file.name, error: toPlainError(error) });
    }
  }
  return { added, refused };
}

async function aboutOf(file: SafetensorsFile): Promise<{ readonly about: LoraAbout; readonly hash: string }> {
  const { file: _file, hash, ...about }: LoraDescription = await describeLora(file, sd15ModuleNames());
  return { about, hash };
}

async function infoOf(blob: Blob, fileName: string, name: string): Promise<LoraInfo> {
  const file = await openSafetensors(bytesSource(fileName, new Uint8Array(await blob.arrayBuffer())));
  const { about } = await aboutOf(file);
  return {
    name,
    fileName,
    bytes: blob.size,
    about,
    metadata: file.metadata,
    tools: await checkTools(file, sd15Modules()),
  };
}

function stemOf(fileName: string): string {
  return fileName.replace(/\.safetensors$/i, '');
}

/** The LoRAs that pictures are drawn with: adapters of runs and files of the library, by name or by id, parsed once. */
import type { Adapter } from '../adapter/lora.ts';
import { LoratoryError } from '../core/errors.ts';
import { tagName } from '../core/promptEditing.ts';
import { readAdapterFile } from '../export/runFile.ts';
import { loraShortHash } from '../formats/lora/hash.ts';
import type { DiffusionModel } from '../models/repository.ts';
import { extractLoraTags } from '../prompts/loraTags.ts';
import { adaptableModules } from '../session/training.ts';
import type { LibraryStore } from '../storage/libraryStore.ts';
import type { RunStore } from '../storage/runStore.ts';
import type { LibraryLora, LoraSource, PluggedLora, StoredRun } from './protocol.ts';

/** A prompt names a LoRA that is not here. */
export class LoraNotFoundError extends LoratoryError {
  readonly code = 'lora-not-found';

  constructor(name: string, names: readonly string[]) {
    super(
      `There is no LoRA called “${name}” for <lora:${name}:...> in the prompt.`,
      names.length > 0 ? `Take one of these: ${names.join(', ')}.` : 'Train one first, or take the tag out.',
      { name, names },
    );
  }
}

/** An adapter as a picture's parameters name it. */
export interface NamedAdapter {
  readonly name: string;
  readonly adapter: Adapter;
  readonly hash: string;
}

/** Each tag's LoRA, by its name or what a tag can hold of it: of several with one name, the newest. Throws {@link LoraNotFoundError}. */
export function taggedLoras(
  prompt: string,
  runs: readonly Pick<StoredRun, 'id' | 'name' | 'startedAt'>[],
  files: readonly Pick<LibraryLora, 'id' | 'name' | 'addedAt'>[],
): PluggedLora[] {
  const known: readonly { readonly name: string; readonly at: number; readonly source: LoraSource }[] = [
    ...runs.map(({ id, name, startedAt }) => ({ name, at: startedAt, source: { kind: 'run', runId: id } as const })),
    ...files.map(({ id, name, addedAt }) => ({ name, at: addedAt, source: { kind: 'file', loraId: id } as const })),
  ].sort((a, b) => b.at - a.at);
  return extractLoraTags(prompt).loras.map(({ name, unetWeight: weight, textEncoderWeight }) => {
    const found = known.find((one) => one.name === name) ?? known.find((one) => tagName(one.name) === name);
    if (!found) throw new LoraNotFoundError(name, [...new Set(known.map((one) => one.name))]);
    return { source: found.source, weight, textEncoderWeight };
  });
}

/** So many parsed adapters are kept: a slider then reads nothing, and an X/Y plot over as many steps neither. */
const kept = 12;

/** The adapter of the run that trains, as it is between two of its steps. */
export interface LiveAdapter {
  readonly runId: string;
  readonly adapter: Adapter;
}

export class LoraSources {
  /** Set while pictures are drawn between the steps of a run: it then stands for what is stored of it. */
  live: LiveAdapter | null = null;
  private readonly known = new Map<string, NamedAdapter>();

  constructor(
    private readonly runs: RunStore,
    private readonly files: LibraryStore<LibraryLora>,
  ) {}

  /** Throws what reading the source and the file throws. */
  async adapter(source: LoraSource, model: DiffusionModel): Promise<NamedAdapter> {
    const { live } = this;
    if (live && source.kind === 'run' && source.runId === live.runId && source.globalStep === undefined)
      return { name: live.adapter.name, adapter: live.adapter, hash: '' };
    const { key, name } = await this.identify(source);
    const version = `${key} ${model.name}`;
    const cached = this.known.get(version);
    const found = cached ?? (await this.read(source, name, model));
    // The one used last is forgotten last.
    this.known.delete(version);
    this.known.set(version, found);
    for (const oldest of [...this.known.keys()].slice(0, -kept)) this.known.delete(oldest);
    return found;
  }

  /** The bytes of the file, whole. */
  async bytes(source: LoraSource): Promise<Uint8Array<ArrayBuffer>> {
    return source.kind === 'run'
      ? this.runs.adapter(source.runId, source.globalStep)
      : new Uint8Array(await (await this.files.file(source.loraId)).arrayBuffer());
  }

  /** What the source is at the moment: a run's adapter is another after every checkpoint. */
  async identify(
    source: LoraSource,
  ): Promise<{ readonly key: string; readonly name: string; readonly fileName: string }> {
    if (source.kind === 'file') {
      const { name, fileName } = await this.files.get(source.loraId);
      return { key: `file ${source.loraId} ${name}`, name, fileName };
    }
    const { name, globalStep, finishedAt } = await this.runs.get(source.runId);
    const step = source.globalStep ?? globalStep;
    const isOlder = step !== globalStep;
    const title = isOlder ? `${name}-${String(step).padStart(6, '0')}` : name;
    return {
      key: `run ${source.runId} ${step} ${isOlder ? '' : (finishedAt ?? 0)} ${name}`,
      name: title,
      fileName: `${title}.safetensors`,
    };
  }

  private async read(source: LoraSource, name: string, model: DiffusionModel): Promise<NamedAdapter> {
    const bytes = await this.bytes(source);
    const { adapter } = await readAdapterFile(name, bytes, adaptableModules(model));
    return { name, adapter, hash: loraShortHash(bytes) };
  }
}

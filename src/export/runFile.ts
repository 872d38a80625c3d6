/** A finished adapter as a file that every other tool loads, and back: kohya's form, float32, with the full header. */
import type { Adapter } from '../adapter/lora.ts';
import { bytesSource } from '../core/files.ts';
import { writeKohyaLora } from '../formats/lora/kohya.ts';
import { trainingMetadata, type TrainingFacts } from '../formats/lora/metadata.ts';
import { readLora } from '../formats/lora/readLora.ts';
import type { KnownModule, LoraFile, LoraModule } from '../formats/lora/types.ts';
import { openSafetensors } from '../formats/safetensors.ts';

/** Writes the adapter's file. */
export function adapterFile(modules: readonly LoraModule[], facts: TrainingFacts): Uint8Array<ArrayBuffer> {
  return writeKohyaLora(modules, trainingMetadata(modules, facts), 'F32');
}

/** What was read from a file, as something to plug into a model. */
export function adapterOf(name: string, { modules, changes }: Pick<LoraFile, 'modules' | 'changes'>): Adapter {
  return {
    name,
    modules: new Map(modules.map((module) => [module.module, module])),
    changes: new Map(changes.map((change) => [change.module, change])),
  };
}

export interface LoadedAdapterFile {
  readonly adapter: Adapter;
  /** The file's own names of layers that it changes but that cannot be changed here: it will act only in part. */
  readonly unmatched: readonly string[];
}

/**
 * Reads an adapter's file of any known form for a model whose adaptable layers are `known`.
 *
 * @throws {SafetensorsError | LoraFileError} naming the file, what is wrong and what to do.
 */
export async function readAdapterFile(
  name: string,
  bytes: Uint8Array<ArrayBuffer>,
  known: readonly KnownModule[],
): Promise<LoadedAdapterFile> {
  const lora = await readLora(await openSafetensors(bytesSource(name, bytes)), known);
  return { adapter: adapterOf(name, lora), unmatched: lora.unmatched };
}

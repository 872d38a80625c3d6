/** A finished adapter as a file that every other tool loads: kohya's form, float32, with the full header. */
import { defined } from '../core/invariant.ts';
import { bytesSource } from '../core/files.ts';
import type { Adapter } from '../adapter/lora.ts';
import { readKohyaLora, writeKohyaLora } from '../formats/lora/kohya.ts';
import { trainingMetadata, type TrainingFacts } from '../formats/lora/metadata.ts';
import type { LoraModule } from '../formats/lora/types.ts';
import { openSafetensors } from '../formats/safetensors.ts';

/** Writes the adapter's file. */
export async function adapterFile(
  modules: readonly LoraModule[],
  facts: TrainingFacts,
): Promise<Uint8Array<ArrayBuffer>> {
  return writeKohyaLora(modules, await trainingMetadata(modules, facts), 'F32');
}

/** Reads an adapter's file for a model whose adaptable layers are `knownModules`. */
export async function readAdapterFile(
  name: string,
  bytes: Uint8Array<ArrayBuffer>,
  knownModules: readonly string[],
): Promise<Adapter> {
  const { modules } = await readKohyaLora(await openSafetensors(bytesSource(name, bytes)), knownModules);
  return { name, modules: new Map(modules.map((module) => [defined(module.module), module])) };
}

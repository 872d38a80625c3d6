/** The files that a prompt refers to: LoRAs by `<lora:name:weight>`, textual-inversion embeddings by their names. */
import { readFile, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { adapterOf } from '../export/runFile.ts';
import type { Adapter } from '../adapter/lora.ts';
import { loraShortHash } from '../formats/lora/hash.ts';
import { readTextualInversion } from '../formats/textualInversion.ts';
import type { DiffusionModel } from '../models/repository.ts';
import type { TokenEmbedding } from '../prompts/chunks.ts';
import { extractLoraTags } from '../prompts/loraTags.ts';
import type { UsedLora } from '../session/parameters.ts';
import { adaptableModules } from '../session/training.ts';
import { loadLora, warnUnmatched } from './loraFiles.ts';
import { fileSource } from './nodeFiles.ts';
import type { LoraOption } from './options.ts';

/** A LoRA that is drawn with. The hash is missing of folders, which other tools do not know. */
export interface OpenedLora extends Omit<UsedLora, 'hash'> {
  readonly adapter: Adapter;
  readonly hash: string | null;
}

/** What the prompt's tags ask for, as options: `<lora:name:0.8>` is `name.safetensors` in `folder`. Says which tags do nothing. */
export function taggedLoras(prompt: string, folder: string): LoraOption[] {
  const { loras, ignored } = extractLoraTags(prompt);
  for (const tag of ignored) process.stderr.write(`${tag} in the prompt does nothing.\n`);
  return loras.map(({ name, unetWeight: weight, textEncoderWeight }) => ({
    path: join(folder, `${name}.safetensors`),
    weight,
    textEncoderWeight,
  }));
}

export async function openLoras(options: readonly LoraOption[], model: DiffusionModel): Promise<OpenedLora[]> {
  const opened: OpenedLora[] = [];
  for (const { path, ...weights } of options) {
    const lora = await loadLora(path, adaptableModules(model));
    warnUnmatched(path, lora.unmatched);
    const name = basename(path).replace(/\.safetensors$/i, '');
    opened.push({ name, adapter: adapterOf(basename(path), lora), hash: await hashOf(path), ...weights });
  }
  return opened;
}

/** Computed, not read from the header: a tool that changed the tensors may have left the old one there. */
async function hashOf(path: string): Promise<string | null> {
  return (await stat(path)).isFile() ? loraShortHash(new Uint8Array(await readFile(path))) : null;
}

/** Throws FileNotFoundError, TextualInversionError or SafetensorsError. */
export async function openEmbeddings(
  paths: readonly string[],
  { textConfig, tokenizer }: Pick<DiffusionModel, 'textConfig' | 'tokenizer'>,
): Promise<TokenEmbedding[]> {
  const limits = { width: textConfig.hiddenSize, longest: tokenizer.modelMaxLength - 2 };
  const found: TokenEmbedding[] = [];
  for (const path of paths) {
    const { names, vectors } = await readTextualInversion(await fileSource(path), limits);
    found.push(...names.map((name) => ({ name, vectors })));
  }
  return found;
}

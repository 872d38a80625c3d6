/** LoRA files and PEFT folders on disk, read and written for the tools of the command line. */
import { mkdir, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { readText } from '../core/files.ts';
import { readLora } from '../formats/lora/readLora.ts';
import type { KnownModule, LoraFile, LoraTarget } from '../formats/lora/types.ts';
import { writeLora, type WriteLoraOptions } from '../formats/lora/writeLora.ts';
import { parsePythonJson } from '../formats/pythonJson.ts';
import { openSafetensors, type SafetensorsFile } from '../formats/safetensors.ts';
import { sd15Modules } from '../models/adaptable.ts';
import { FileNotFoundError, fileSource, folderTree } from './nodeFiles.ts';
import type { LoraOption } from './options.ts';

/** The layers of SD1.5 by name alone, so that a file for a smaller model of its structure is read too. */
export function knownNames(): KnownModule[] {
  return sd15Modules().map(({ module, target, kernelSize }) => ({ module, target, kernelSize }));
}

/** One safetensors file of an adapter, with what stands beside it. */
export interface LoraPart {
  readonly file: SafetensorsFile;
  readonly adapterConfig?: Readonly<Record<string, unknown>>;
}

const PEFT_MODEL = /(^|\/)adapter_model\.safetensors$/;

/** Opens a file, or the adapters of a PEFT folder: its own, or those of `unet/` and `text_encoder/` in it. */
export async function openLora(path: string): Promise<LoraPart[]> {
  const found = await stat(path).catch(() => null);
  if (!found) throw new FileNotFoundError(path, 'LoRA file or folder');
  if (!found.isDirectory()) return [{ file: await openSafetensors(await fileSource(path)) }];
  const tree = await folderTree(path);
  const models = tree.list().filter((name) => PEFT_MODEL.test(name));
  if (models.length === 0) throw new FileNotFoundError(join(path, 'adapter_model.safetensors'), 'PEFT adapter');
  return Promise.all(
    models.map(async (name) => {
      const configName = name.replace(/adapter_model\.safetensors$/, 'adapter_config.json');
      const file = await openSafetensors(await tree.open(name));
      if (!tree.has(configName)) return { file };
      const adapterConfig = parsePythonJson(configName, await readText(await tree.open(configName)));
      return { file, adapterConfig: adapterConfig as Record<string, unknown> };
    }),
  );
}

/** Reads an adapter for the layers `known`, all its parts as one. */
export async function loadLora(path: string, known: readonly KnownModule[] = knownNames()): Promise<LoraFile> {
  const parts = [];
  for (const { file, adapterConfig } of await openLora(path)) {
    parts.push(await readLora(file, known, adapterConfig ? { adapterConfig } : {}));
  }
  const [first] = parts;
  return {
    form: first!.form,
    modules: parts.flatMap(({ modules }) => modules),
    changes: parts.flatMap(({ changes }) => changes),
    unmatched: parts.flatMap(({ unmatched }) => unmatched),
    metadata: first!.metadata,
  };
}

/** An adapter at the weights that were typed: its parts of the UNet and of the text encoder each at its own. */
export function atWeights(
  { modules, changes }: Pick<LoraFile, 'modules' | 'changes'>,
  { weight, textEncoderWeight = weight }: Pick<LoraOption, 'weight' | 'textEncoderWeight'>,
): { readonly lora: Pick<LoraFile, 'modules' | 'changes'>; readonly weight: number }[] {
  const part = (wanted: LoraTarget): Pick<LoraFile, 'modules' | 'changes'> => ({
    modules: modules.filter(({ target }) => target === wanted),
    changes: changes.filter(({ target }) => target === wanted),
  });
  return [
    { lora: part('unet'), weight },
    { lora: part('textEncoder'), weight: textEncoderWeight },
  ];
}

/** Says on stderr which parts of a file take no part. */
export function warnUnmatched(path: string, unmatched: readonly string[]): void {
  if (unmatched.length === 0) return;
  const names = `${unmatched.slice(0, 3).join(', ')}${unmatched.length > 3 ? ', ...' : ''}`;
  process.stderr.write(
    `${basename(path)}: ${unmatched.length} of its parts are no layers of the model and are left out (${names}).\n`,
  );
}

/** Writes an adapter to `path`: a file, or with PEFT's form a folder. */
export async function saveLora(
  path: string,
  lora: Pick<LoraFile, 'modules' | 'changes'>,
  options: WriteLoraOptions,
): Promise<void> {
  for (const [name, bytes] of writeLora(lora, options)) {
    const target = join(path, name);
    await mkdir(dirname(target), { recursive: true });
    await writeFile(target, bytes);
  }
}

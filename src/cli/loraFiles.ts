/** LoRA files and PEFT folders on disk, read and written for the tools of the command line. */
import { mkdir, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { readText } from '../core/files.ts';
import { readLora } from '../formats/lora/readLora.ts';
import type { KnownModule, LoraFile } from '../formats/lora/types.ts';
import { writeLora, type WriteLoraOptions } from '../formats/lora/writeLora.ts';
import { parsePythonJson } from '../formats/pythonJson.ts';
import { openSafetensors, type SafetensorsFile } from '../formats/safetensors.ts';
import { sd15ModuleNames } from '../models/adaptable.ts';
import { FileNotFoundError, fileSource, folderTree } from './nodeFiles.ts';

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
export async function loadLora(path: string, known: readonly KnownModule[] = sd15ModuleNames()): Promise<LoraFile> {
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

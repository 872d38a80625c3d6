/**
 * Reads a LoRA file of any form and kind in circulation into changes of the model at hand. A file is refused as a whole when a layer in it
 * could not be applied faithfully (incomplete, wrong sizes); layers that the model lacks and tensors of no layer are only reported.
 */
import { defined } from '../../core/invariant.ts';
import type { SafetensorsFile } from '../safetensors.ts';
import { configuredAlpha } from './alphas.ts';
import { flatten, isSdxlKey, type LoraKey, type LoraPart, parseLoraKey, unsupportedKind } from './keys.ts';
import { readLayer } from './readLayer.ts';
import { type KnownModule, type LoraFile, LoraFileError, type LoraModule, type WeightChange } from './types.ts';

interface Group {
  readonly key: LoraKey;
  readonly tensors: Map<LoraPart, string>;
}

export interface ReadLoraOptions {
  /** adapter_config.json, parsed, of a PEFT folder: it has the alpha, which the tensors do not. */
  readonly adapterConfig?: Readonly<Record<string, unknown>>;
}

function some(names: readonly string[], count: number): string {
  return `${names.slice(0, count).join(', ')}${names.length > count ? ', …' : ''}`;
}

/** Sorts a file's tensors by layer; `unknown` are those whose names say no layer. */
export function groupTensors(file: SafetensorsFile): { groups: Map<string, Group>; unknown: string[] } {
  const groups = new Map<string, Group>();
  const unknown: string[] = [];
  for (const name of file.names()) {
    if (isSdxlKey(name)) throw new LoraFileError(file.fileName, 'sdxl', 'is a LoRA for Stable Diffusion XL', name);
    const key = parseLoraKey(name);
    if (key === undefined) {
      unknown.push(name);
      continue;
    }
    const id = `${key.target} ${key.flattened}`;
    const group: Group = groups.get(id) ?? { key, tensors: new Map() };
    if (group.tensors.has(key.part)) {
      throw new LoraFileError(file.fileName, 'incomplete', `has two ${key.part} tensors for ${key.label}`, key.label);
    }
    group.tensors.set(key.part, name);
    groups.set(id, group);
  }
  if ((file.metadata['ss_base_model_version'] ?? '').startsWith('sdxl')) {
    throw new LoraFileError(file.fileName, 'sdxl', 'is a LoRA for Stable Diffusion XL');
  }
  const isLora = [...groups.values()].some(({ tensors }) => [...tensors.keys()].some((part) => part !== 'alpha'));
  if (!isLora) {
    const kind = file.names().map(unsupportedKind).find(Boolean);
    if (kind === undefined) throw new LoraFileError(file.fileName, 'not-lora', 'has no LoRA weights');
    throw new LoraFileError(
      file.fileName,
      'unsupported-kind',
      `is an adapter of the kind ${kind}, which Loratory cannot apply`,
    );
  }
  return { groups, unknown };
}

/**
 * Reads a LoRA file of any form. `knownModules` are the layers of the model that can be adapted, as paths, or with their sizes, to which
 * the file is then held. Throws {@link LoraFileError} for a file that is no LoRA, of another kind (OFT, IA3, SDXL ...), incomplete, of
 * wrong sizes, not finite, or without any layer that the model has.
 */
export async function readLora(
  file: SafetensorsFile,
  knownModules: readonly (string | KnownModule)[],
  { adapterConfig }: ReadLoraOptions = {},
): Promise<LoraFile> {
  const { groups, unknown } = groupTensors(file);
  const alphaOf = configuredAlpha(file, adapterConfig);
  const known = knownModules.map((entry): KnownModule => (typeof entry === 'string' ? { module: entry } : entry));
  const byFlatName = new Map(known.map((entry) => [flatten(entry.module), entry]));
  const order = new Map(known.map(({ module }, i) => [module, i]));

  const modules: LoraModule[] = [];
  const changes: WeightChange[] = [];
  const unmatched: string[] = [];
  for (const group of groups.values()) {
    const entry = byFlatName.get(group.key.flattened);
    if (entry === undefined || (entry.target !== undefined && entry.target !== group.key.target)) {
      unmatched.push(group.key.label);
      continue;
    }
    const read = await readLayer(file, group, entry, alphaOf);
    if ('down' in read) modules.push(read);
    else changes.push(read);
  }
  unmatched.push(...unknown);
  if (modules.length + changes.length === 0) {
    throw new LoraFileError(
      file.fileName,
      'no-match',
      `adapts no layer that this model has (it names ${some(unmatched, 2)})`,
      unmatched[0],
    );
  }
  const inOrder = (a: { module: string }, b: { module: string }): number =>
    defined(order.get(a.module)) - defined(order.get(b.module));
  const form = defined(groups.values().next().value, 'a group').key.form;
  return {
    form,
    modules: modules.sort(inOrder),
    changes: changes.sort(inOrder),
    unmatched,
    metadata: file.metadata,
  };
}

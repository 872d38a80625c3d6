/**
 * Reads a LoRA file of any form in circulation into modules of the model at hand. A file is refused as a whole when a part of it could
 * not be applied faithfully (another kind of adapter, wrong sizes); layers that the model lacks are only reported.
 */
import { defined } from '../../core/invariant.ts';
import { parsePythonJson } from '../pythonJson.ts';
import type { SafetensorsFile } from '../safetensors.ts';
import { flatten, isSdxlKey, type LoraKey, type LoraPart, parseLoraKey, unsupportedKind } from './keys.ts';
import { type KnownModule, type LoraFile, LoraFileError, type LoraModule } from './types.ts';

interface Group {
  readonly key: LoraKey;
  readonly tensors: Map<LoraPart, string>;
}

export interface ReadLoraOptions {
  /** adapter_config.json, parsed, of a PEFT folder: it has the alpha, which the tensors do not. */
  readonly adapterConfig?: Readonly<Record<string, unknown>>;
}

/** Sorts a file's tensors by layer. Throws for kinds that are not supported. */
function groupTensors(file: SafetensorsFile): Map<string, Group> {
  const groups = new Map<string, Group>();
  const unknown: string[] = [];
  for (const name of file.names()) {
    if (isSdxlKey(name)) throw new LoraFileError(file.fileName, 'sdxl', 'is a LoRA for Stable Diffusion XL');
    const kind = unsupportedKind(name);
    if (kind !== undefined) {
      throw new LoraFileError(file.fileName, 'unsupported-kind', `is a ${kind} adapter, which Loratory cannot apply`);
    }
    const key = parseLoraKey(name);
    if (key === undefined) {
      unknown.push(name);
      continue;
    }
    const id = `${key.target} ${key.flattened}`;
    const group: Group = groups.get(id) ?? { key, tensors: new Map() };
    if (group.tensors.has(key.part)) {
      throw new LoraFileError(file.fileName, 'incomplete', `has two ${key.part} tensors for ${key.label}`);
    }
    group.tensors.set(key.part, name);
    groups.set(id, group);
  }
  if ((file.metadata['ss_base_model_version'] ?? '').startsWith('sdxl')) {
    throw new LoraFileError(file.fileName, 'sdxl', 'is a LoRA for Stable Diffusion XL');
  }
  const isLora = [...groups.values()].some(({ tensors }) => tensors.has('down') || tensors.has('up'));
  if (!isLora) throw new LoraFileError(file.fileName, 'not-lora', 'has no LoRA weights');
  if (unknown.length > 0) {
    const names = `${unknown.slice(0, 3).join(', ')}${unknown.length > 3 ? ', …' : ''}`;
    throw new LoraFileError(
      file.fileName,
      'unsupported-kind',
      `has ${unknown.length} tensors beside its LoRA weights (${names})`,
    );
  }
  return groups;
}

type AlphaOf = (key: LoraKey, rank: number) => number;

/** Alphas from a PEFT config: lora_alpha, or that of the pattern that ends the layer's path; rank-stabilised LoRA folded in. */
function alphaFromConfig(file: string, config: Readonly<Record<string, unknown>>): AlphaOf {
  if (config['use_dora'] === true) {
    throw new LoraFileError(file, 'unsupported-kind', 'is a DoRA adapter, which Loratory cannot apply');
  }
  const common = config['lora_alpha'];
  const patterns = Object.entries((config['alpha_pattern'] ?? {}) as Record<string, unknown>).map(
    ([pattern, alpha]) => [flatten(pattern.replace(/^\^/, '')), alpha] as const,
  );
  return ({ flattened }, rank) => {
    const special = patterns.find(([pattern]) => flattened === pattern || flattened.endsWith(`_${pattern}`))?.[1];
    const alpha = special ?? common;
    if (typeof alpha !== 'number') return rank;
    return config['use_rslora'] === true ? alpha * Math.sqrt(rank) : alpha;
  };
}

/** Where the alphas stand that no tensor has. Without any, alpha is the rank: the factor is 1. */
function configuredAlpha(file: SafetensorsFile, options: ReadLoraOptions): AlphaOf {
  if (options.adapterConfig !== undefined) return alphaFromConfig(file.fileName, options.adapterConfig);
  const text = file.metadata['lora_adapter_metadata'];
  if (text === undefined) return (_key, rank) => rank;
  const all = parsePythonJson(`${file.fileName}: lora_adapter_metadata`, text);
  if (typeof all !== 'object' || all === null) return (_key, rank) => rank;
  const partOf = (prefix: string): AlphaOf => {
    const fields = Object.entries(all).filter(([name]) => name.startsWith(prefix));
    return alphaFromConfig(
      file.fileName,
      Object.fromEntries(fields.map(([name, value]) => [name.slice(prefix.length), value])),
    );
  };
  const [unet, textEncoder] = [partOf('unet.'), partOf('text_encoder.')];
  return (key, rank) => (key.target === 'unet' ? unet : textEncoder)(key, rank);
}

async function readScalar(file: SafetensorsFile, name: string): Promise<number> {
  const { dtype, shape } = file.info(name);
  if (shape.some((size) => size !== 1))
    throw new LoraFileError(file.fileName, 'wrong-shape', `has the alpha ${name} of shape [${shape.join(', ')}]`);
  const [value] = /^B?F/.test(dtype) ? await file.readFloat32(name) : await file.readInts(name);
  return defined(value);
}

async function readModule(
  file: SafetensorsFile,
  { key, tensors }: Group,
  known: KnownModule,
  alphaOf: AlphaOf,
): Promise<LoraModule> {
  const wrong = (what: string): LoraFileError =>
    new LoraFileError(file.fileName, 'wrong-shape', `does not fit this model: ${key.label} ${what}`);
  const [downName, upName] = [tensors.get('down'), tensors.get('up')];
  if (downName === undefined || upName === undefined) {
    throw new LoraFileError(
      file.fileName,
      'incomplete',
      `lacks the ${downName === undefined ? 'down' : 'up'} weight of ${key.label}`,
    );
  }
  const down = file.info(downName).shape;
  const up = file.info(upName).shape;
  const [rank = 0, inFeatures = 0, ...kernel] = down;
  const [outFeatures = 0, upRank = 0, ...upKernel] = up;
  const isMatrixOrConv =
    (down.length === 2 || down.length === 4) && up.length === down.length && upKernel.every((size) => size === 1);
  if (!isMatrixOrConv || rank === 0 || upRank !== rank) {
    throw wrong(`has the shapes [${down.join(', ')}] and [${up.join(', ')}]`);
  }
  if (known.inFeatures !== undefined && known.inFeatures !== inFeatures) {
    throw wrong(`takes ${inFeatures} inputs, but the layer has ${known.inFeatures}`);
  }
  if (known.outFeatures !== undefined && known.outFeatures !== outFeatures) {
    throw wrong(`gives ${outFeatures} outputs, but the layer has ${known.outFeatures}`);
  }
  const alphaName = tensors.get('alpha');
  const alpha = alphaName === undefined ? alphaOf(key, rank) : await readScalar(file, alphaName);
  const module: LoraModule = {
    module: known.module,
    target: key.target,
    down: await file.readFloat32(downName),
    up: await file.readFloat32(upName),
    rank,
    alpha,
    inFeatures,
    outFeatures,
    ...(kernel.length === 2 ? { kernel: [kernel[0]!, kernel[1]!] as const } : {}),
  };
  requireFinite(file.fileName, key.label, module);
  return module;
}

/** Throws unless alpha and all weights are finite numbers. */
export function requireFinite(file: string, label: string, { alpha, down, up }: LoraModule): void {
  if (!Number.isFinite(alpha) || !down.every(Number.isFinite) || !up.every(Number.isFinite)) {
    throw new LoraFileError(file, 'not-finite', `holds infinities or NaN in ${label}`);
  }
}

/**
 * Reads a LoRA file of any form. `knownModules` are the layers of the model that can be adapted, as paths, or with their sizes, to which
 * the file is then held. Throws {@link LoraFileError} for a file that is no LoRA, of another kind (LoCon, LoHa, LoKr, DoRA, SDXL ...),
 * incomplete, of wrong sizes, not finite, or without any layer that the model has.
 */
export async function readLora(
  file: SafetensorsFile,
  knownModules: readonly (string | KnownModule)[],
  options: ReadLoraOptions = {},
): Promise<LoraFile> {
  const groups = groupTensors(file);
  const alphaOf = configuredAlpha(file, options);
  const known = knownModules.map((entry): KnownModule => (typeof entry === 'string' ? { module: entry } : entry));
  const byFlatName = new Map(known.map((entry) => [flatten(entry.module), entry]));
  const order = new Map(known.map(({ module }, i) => [module, i]));

  const modules: LoraModule[] = [];
  const unmatched: string[] = [];
  for (const group of groups.values()) {
    const entry = byFlatName.get(group.key.flattened);
    if (entry !== undefined) {
      modules.push(await readModule(file, group, entry, alphaOf));
      continue;
    }
    const down = group.tensors.get('down');
    if (
      down !== undefined &&
      file
        .info(down)
        .shape.slice(2)
        .some((size) => size > 1)
    ) {
      throw new LoraFileError(
        file.fileName,
        'unsupported-kind',
        'is a LoCon adapter (it adapts convolutions), which Loratory cannot apply',
      );
    }
    unmatched.push(group.key.label);
  }
  if (modules.length === 0) {
    const names = `${unmatched.slice(0, 2).join(', ')}${unmatched.length > 2 ? ', …' : ''}`;
    throw new LoraFileError(file.fileName, 'no-match', `adapts no layer that this model has (it names ${names})`);
  }
  modules.sort((a, b) => defined(order.get(a.module)) - defined(order.get(b.module)));
  const form = defined(groups.values().next().value, 'a group').key.form;
  return { form, modules, unmatched, metadata: file.metadata };
}

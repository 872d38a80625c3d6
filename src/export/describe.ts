/** What a LoRA file holds, for people: form, kinds of changes, sizes, ranks, alphas, which layers, how strong. */
import { LoratoryError } from '../core/errors.ts';
import { modelHash } from '../formats/lora/hash.ts';
import type { LoraKey } from '../formats/lora/keys.ts';
import { denseChange } from '../formats/lora/products.ts';
import { groupTensors, readLora, type ReadLoraOptions } from '../formats/lora/readLora.ts';
import type { KnownModule, LoraFile, LoraForm, LoraModule } from '../formats/lora/types.ts';
import type { SafetensorsFile } from '../formats/safetensors.ts';
import { squaredNorm } from './combine.ts';

export type LoraKind = 'LoRA' | 'LoCon' | 'LoHa' | 'LoKr' | 'DoRA' | 'full difference';

/** A part of the model as people speak of it, e.g. `down_blocks.1`, `mid_block`, `text encoder`. */
export interface LoraBlock {
  readonly block: string;
  readonly layers: number;
  /** Distinct ranks, ascending; of changes that are no low-rank pairs there are none. */
  readonly ranks: readonly number[];
  /** Frobenius norm of what it changes in this block. */
  readonly norm: number;
}

export interface LoraDescription {
  readonly file: string;
  /** The 12 digits by which A1111 knows it. */
  readonly hash: string;
  /** Whether the tensors are still those that the header's own hash was taken of; null where it has none. */
  readonly isIntact: boolean | null;
  readonly form: LoraForm | 'no LoRA';
  readonly kinds: readonly LoraKind[];
  readonly tensors: number;
  readonly parameters: number;
  readonly dtypes: readonly string[];
  /** Distinct ranks, ascending. */
  readonly ranks: readonly number[];
  /** Distinct values of alpha tensors, ascending. */
  readonly alphas: readonly number[];
  readonly unetModules: number;
  readonly textEncoderModules: number;
  /** Distinct kinds of layers, e.g. `attn1.to_q`, as the last parts of their paths. */
  readonly targets: readonly string[];
  /** Frobenius norm of all that it changes together (of a DoRA without its magnitudes); null where nothing could be read. */
  readonly norm: number | null;
  /** In the model's order. */
  readonly blocks: readonly LoraBlock[];
  /** Names of layers and tensors that Stable Diffusion 1.5 does not have. */
  readonly unmatched: readonly string[];
  /** Why it cannot be applied, if it cannot. */
  readonly problem: string | null;
}

/** Which kinds of changes one layer's tensors make. */
function kindsOf(parts: readonly string[], isConv: boolean): LoraKind[] {
  const has = (prefix: string): boolean => parts.some((part) => part.startsWith(prefix));
  const base: LoraKind = has('hada_')
    ? 'LoHa'
    : has('lokr_')
      ? 'LoKr'
      : has('diff') && !has('down')
        ? 'full difference'
        : isConv
          ? 'LoCon'
          : 'LoRA';
  return has('magnitude') ? [base, 'DoRA'] : [base];
}

/** The part of a layer's path that says what it is, whichever block it is in. */
function layerKind(module: string): string {
  return /(attn\d\..+|ff\..+|self_attn\..+|mlp\..+|[^.\d]+\.linear_\d|(?:down|up)samplers|[^.]+)$/.exec(
    module.replace(/\.0\.conv$/, ''),
  )![0];
}

/** The block that a layer belongs to. */
function blockOf({ module, target }: Pick<LoraModule, 'module' | 'target'>): string {
  if (target === 'textEncoder') return 'text encoder';
  return /^((down|up)_blocks\.\d+|mid_block)\./.exec(module)?.[1] ?? 'in and out';
}

interface LayerNorm {
  readonly block: string;
  readonly rank: number | null;
  readonly squared: number;
}

function layerNorms({ modules, changes }: Pick<LoraFile, 'modules' | 'changes'>): LayerNorm[] {
  return [
    ...modules.map((one) => ({
      block: blockOf(one),
      rank: one.rank,
      squared: squaredNorm({ a: one.up, b: one.down, rank: one.rank }, one.outFeatures) * (one.alpha / one.rank) ** 2,
    })),
    ...changes.map(({ magnitude: _magnitude, ...change }) => ({
      block: blockOf(change),
      rank: change.delta?.kind === 'product' ? change.delta.product.rank : null,
      squared: denseChange(change).reduce((sum, value) => sum + value * value, 0),
    })),
  ];
}

function byBlock(layers: readonly LayerNorm[]): LoraBlock[] {
  const blocks = new Map<string, LayerNorm[]>();
  for (const layer of layers) blocks.set(layer.block, [...(blocks.get(layer.block) ?? []), layer]);
  const order = (block: string): number =>
    ['in and out', 'down', 'mid', 'up', 'text encoder'].findIndex((start) => block.startsWith(start));
  return [...blocks]
    .map(([block, own]) => ({
      block,
      layers: own.length,
      ranks: ascending(own.flatMap(({ rank }) => (rank === null ? [] : [rank]))),
      norm: Math.sqrt(own.reduce((sum, { squared }) => sum + squared, 0)),
    }))
    .sort((a, b) => order(a.block) - order(b.block) || (a.block < b.block ? -1 : 1));
}

const ascending = (values: Iterable<number>): number[] => [...new Set(values)].sort((a, b) => a - b);

/** Describes a file. `known` are the layers of the model that it is meant for. Errors of the file's content become its `problem`. */
export async function describeLora(
  file: SafetensorsFile,
  known: readonly KnownModule[],
  options: ReadLoraOptions = {},
): Promise<LoraDescription> {
  const names = file.names();
  const size = (name: string): number => file.info(name).shape.reduce((a, b) => a * b, 1);
  const hash = await modelHash(file);
  const stated = file.metadata['sshs_model_hash'];
  const about = {
    file: file.fileName,
    hash: hash.slice(0, 12),
    isIntact: stated === undefined ? null : stated === hash,
    tensors: names.length,
    parameters: names.reduce((sum, name) => sum + size(name), 0),
    dtypes: [...new Set(names.map((name) => file.info(name).dtype))].sort(),
  };
  const nothing = {
    kinds: [],
    ranks: [],
    alphas: [],
    unetModules: 0,
    textEncoderModules: 0,
    targets: [],
    norm: null,
    blocks: [],
    unmatched: [],
  };
  try {
    const { groups } = groupTensors(file);
    const layers = [...groups.values()];
    const kinds = new Set<LoraKind>();
    const ranks: number[] = [];
    for (const { tensors } of layers) {
      const shape = (part: string): readonly number[] => (tensors.has(part) ? file.info(tensors.get(part)!).shape : []);
      const isConv = tensors.has('mid') || (shape('down')[2] ?? 1) > 1;
      for (const kind of kindsOf([...tensors.keys()], isConv)) kinds.add(kind);
      const rank = shape('down')[0] ?? shape('hada_w1_b')[0] ?? shape('lokr_w2_b')[0];
      if (rank !== undefined) ranks.push(rank);
    }
    const count = (target: LoraKey['target']): number => layers.filter(({ key }) => key.target === target).length;
    const { form, modules, changes, unmatched } = await readLora(file, known, options);
    const norms = layerNorms({ modules, changes });
    return {
      ...about,
      form,
      kinds: [...kinds],
      ranks: ascending(ranks),
      alphas: ascending(await alphasOf(file)),
      unetModules: count('unet'),
      textEncoderModules: count('textEncoder'),
      targets: [...new Set([...modules, ...changes].map(({ module }) => layerKind(module)))].sort(),
      norm: Math.sqrt(norms.reduce((sum, { squared }) => sum + squared, 0)),
      blocks: byBlock(norms),
      unmatched,
      problem: null,
    };
  } catch (error) {
    if (!(error instanceof LoratoryError)) throw error;
    return { ...about, ...nothing, form: 'no LoRA', problem: `${error.message} ${error.remedy}` };
  }
}

/** The values of a file's alpha tensors. */
export async function alphasOf(file: SafetensorsFile): Promise<number[]> {
  const alphas = file.names().filter((name) => name.endsWith('.alpha'));
  return Promise.all(
    alphas.map(async (name) => {
      const values = /^B?F/.test(file.info(name).dtype) ? await file.readFloat32(name) : await file.readInts(name);
      return values[0] ?? NaN;
    }),
  );
}

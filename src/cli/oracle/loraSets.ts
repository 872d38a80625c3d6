/** The oracle's own form of LoRA weights: `unet.PATH.lora_A.weight` [rank, in(, kh, kw)] and `.lora_B.weight` [out, rank(, 1, 1)]. */
import type { LayerToTrain } from '../../adapter/trainable.ts';
import { defined } from '../../core/invariant.ts';
import type { LoraModule, LoraTarget } from '../../formats/lora/types.ts';
import { modulesOf, type AdaptableLayer } from '../../nn/weights.ts';
import type { OracleModels } from './models.ts';
import type { GoldenTensor, OraclePack } from './pack.ts';

const prefixes: Readonly<Record<LoraTarget, string>> = { unet: 'unet.', textEncoder: 'text_encoder.' };

/** A set's tensors as modules. Their alpha is the set's own where the pack's index has one. */
export async function readLoraSet(
  pack: OraclePack,
  reference: string,
  { alpha }: { readonly alpha: number },
): Promise<Map<string, LoraModule>> {
  return modulesOfSet(await pack.tensors(reference), pack.loraAlpha(reference) ?? alpha);
}

/** Tensors in the form of a set as modules. */
export function modulesOfSet(set: ReadonlyMap<string, GoldenTensor>, alpha: number): Map<string, LoraModule> {
  const modules = new Map<string, LoraModule>();
  for (const [name, a] of set) {
    if (!name.endsWith('.lora_A.weight')) continue;
    const path = name.slice(0, -'.lora_A.weight'.length);
    const target = path.startsWith(prefixes.unet) ? 'unet' : 'textEncoder';
    const module = path.slice(prefixes[target].length);
    const b = defined(set.get(`${path}.lora_B.weight`), `${path}.lora_B.weight`);
    const [rank = 0, inFeatures = 0, height, width] = a.shape;
    modules.set(module, {
      module,
      target,
      down: Float32Array.from(a.values),
      up: Float32Array.from(b.values),
      rank,
      alpha,
      inFeatures,
      outFeatures: b.shape[0] ?? 0,
      ...(height !== undefined && width !== undefined ? { kernel: [height, width] } : {}),
    });
  }
  return modules;
}

/** The layers that `modules` adapt, with the parts of the model loaded that they are in; null if a module is of no such layer. */
export async function layersOf(
  models: OracleModels,
  modules: ReadonlyMap<string, LoraModule>,
): Promise<LayerToTrain[] | null> {
  const adapted = (layers: readonly AdaptableLayer[], part: LoraTarget): LayerToTrain[] =>
    layers
      .filter((layer) => modulesOf(layer).some((module) => modules.has(module)))
      .map((layer) => ({ layer, part, multiplier: 1 }));
  const usesText = [...modules.values()].some(({ target }) => target === 'textEncoder');
  const layers = adapted((await models.unet()).adaptableLayers, 'unet');
  if (usesText) layers.push(...adapted((await models.textEncoder()).adaptableLayers, 'textEncoder'));
  return layers.flatMap(({ layer }) => modulesOf(layer)).length === modules.size ? layers : null;
}

/** For each of `modules`, the pairs (what we have, what the set holds) of A and B. */
export function* pairsOf(
  modules: readonly LoraModule[],
  set: ReadonlyMap<string, GoldenTensor>,
): Generator<{ readonly name: string; readonly actual: Float32Array; readonly expected: GoldenTensor }> {
  for (const { module, target, down, up } of modules) {
    for (const [part, actual] of [
      ['lora_A', down],
      ['lora_B', up],
    ] as const) {
      const name = `${prefixes[target]}${module}.${part}.weight`;
      yield { name, actual, expected: defined(set.get(name), name) };
    }
  }
}

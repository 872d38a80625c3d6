/** The oracle's own form of LoRA weights: `unet.PATH.lora_A.weight` [rank, in] and `.lora_B.weight` [out, rank]. */
import { defined } from '../../core/invariant.ts';
import type { LoraModule } from '../../formats/lora/types.ts';
import type { GoldenTensor } from './pack.ts';

const unetPrefix = 'unet.';

/** Turns a set into modules; null if it touches anything but linear layers of the UNet's attention. */
export function modulesOf(
  set: ReadonlyMap<string, GoldenTensor>,
  { alpha, known }: { readonly alpha: number; readonly known: ReadonlySet<string> },
): Map<string, LoraModule> | null {
  const modules = new Map<string, LoraModule>();
  for (const [name, a] of set) {
    if (!name.endsWith('.lora_A.weight')) continue;
    const path = name.slice(0, -'.lora_A.weight'.length);
    const module = path.slice(unetPrefix.length);
    if (!path.startsWith(unetPrefix) || !known.has(module)) return null;
    const b = defined(set.get(`${path}.lora_B.weight`), `${path}.lora_B.weight`);
    const [rank = 0, inFeatures = 0] = a.shape;
    modules.set(module, {
      module,
      target: 'unet',
      down: Float32Array.from(a.values),
      up: Float32Array.from(b.values),
      rank,
      alpha,
      inFeatures,
      outFeatures: b.shape[0] ?? 0,
    });
  }
  return modules;
}

/** For each of `modules`, the pairs (what we have, what the set holds) of A and B. */
export function* pairsOf(
  modules: readonly LoraModule[],
  set: ReadonlyMap<string, GoldenTensor>,
): Generator<{ readonly name: string; readonly actual: Float32Array; readonly expected: GoldenTensor }> {
  for (const { module, down, up } of modules) {
    for (const [part, actual] of [
      ['lora_A', down],
      ['lora_B', up],
    ] as const) {
      const name = `${unetPrefix}${module}.${part}.weight`;
      yield { name, actual, expected: defined(set.get(name), name) };
    }
  }
}

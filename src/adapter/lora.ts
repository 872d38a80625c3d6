/**
 * LoRA adapters on a model's layers (Hu et al. 2021; LoCon on convolutions): y += scale * B (A x), scale = weight * alpha / rank.
 *
 * On the GPU the branches of all adapters are joined along the rank, and the modules of one packed projection (q|k|v) lie
 * side by side as groups. Weights of adapters are only factors in a small vector: moving a slider rewrites that vector,
 * nothing is merged and nothing is loaded again.
 */
import { defined, invariant } from '../core/invariant.ts';
import { asWeightChange } from '../formats/lora/products.ts';
import type { LoraModule, WeightChange } from '../formats/lora/types.ts';
import { writeTensor } from '../gpu/ops.ts';
import { modulesOf, type AdaptableLayer } from '../nn/weights.ts';
import { branchSizes, canBranch, setBranch, toBranchOrder, unplugBranch } from './branch.ts';
import { mergeLayer } from './merge.ts';

/** What an adapter file changes, by the diffusers path of the layer. */
export interface Adapter {
  readonly name: string;
  /** Plain low-rank pairs. */
  readonly modules: ReadonlyMap<string, LoraModule>;
  /** Changes of every other kind. */
  readonly changes?: ReadonlyMap<string, WeightChange>;
}

/** Where each adapter's rows lie in the joined branch of one projection. */
interface Placement {
  readonly layer: AdaptableLayer;
  readonly rank: number;
  /** For each adapter: its first row within a group and how many it takes (the largest rank of its modules here). */
  readonly spans: readonly { readonly start: number; readonly rank: number }[];
}

/** A layer with changes that are added into its weight: for each of its modules, one an adapter (or none). */
interface Merge {
  readonly layer: AdaptableLayer;
  readonly changes: readonly (readonly (WeightChange | undefined)[])[];
  /** The weights of the adapters that the layer has now. */
  weights: readonly number[];
}

/** Adapters plugged into a model. Plugging again replaces them; {@link unplug} frees all. */
export class PluggedAdapters {
  private constructor(
    private readonly adapters: readonly Adapter[],
    private readonly placements: readonly Placement[],
    private readonly merges: readonly Merge[],
  ) {}

  /**
   * Joins the low-rank branches of `adapters` into those of `layers`; other changes are merged (see merge.ts).
   * Every weight starts at 1.
   */
  static plug(layers: readonly AdaptableLayer[], adapters: readonly Adapter[]): PluggedAdapters {
    const placements: Placement[] = [];
    const merges: Merge[] = [];
    for (const layer of layers) {
      const placement = placeBranch(layer, adapters);
      if (placement) placements.push(placement);
      const changes = modulesOf(layer).map((name) => adapters.map((adapter) => changeOf(adapter, name, layer)));
      if (changes.flat().some(Boolean)) merges.push({ layer, changes, weights: adapters.map(() => 0) });
    }
    const plugged = new PluggedAdapters(adapters, placements, merges);
    plugged.setWeights(adapters.map(() => 1));
    return plugged;
  }

  /** Sets every adapter's weight (0 is off, 1 is as trained). */
  setWeights(weights: readonly number[]): void {
    invariant(weights.length === this.adapters.length, 'One weight an adapter');
    for (const { layer, rank, spans } of this.placements) {
      const names = modulesOf(layer);
      const values = new Float32Array(names.length * rank);
      spans.forEach((span, i) => {
        names.forEach((name, g) => {
          const module = branchOf(this.adapters[i]!, name);
          if (!module) return;
          values.fill(
            (weights[i]! * module.alpha) / module.rank,
            g * rank + span.start,
            g * rank + span.start + span.rank,
          );
        });
      });
      writeTensor(defined(layer.lora).scale, values);
    }
    for (const merge of this.merges) mergeAt(merge, weights);
  }

  /** Takes the adapters out of the model and frees their tensors. */
  unplug(): void {
    for (const { layer } of this.placements) unplugBranch(layer);
    for (const { layer } of this.merges) unmerge(layer);
  }
}

/** The low-rank pair of a module, unless it is one of DoRA, which no branch can express. */
function branchOf({ modules }: Adapter, name: string): LoraModule | undefined {
  const module = modules.get(name);
  return module?.magnitude ? undefined : module;
}

function placeBranch(layer: AdaptableLayer, adapters: readonly Adapter[]): Placement | null {
  if (!canBranch(layer)) return null;
  let start = 0;
  const spans = adapters.map((adapter) => {
    const rank = Math.max(0, ...modulesOf(layer).map((name) => branchOf(adapter, name)?.rank ?? 0));
    const span = { start, rank };
    start += rank;
    return span;
  });
  if (start === 0) return null;
  plugOne(layer, adapters, spans, start);
  return { layer, rank: start, spans };
}

/** What an adapter adds into the weight of a module: all that has no branch. */
function changeOf({ modules, changes }: Adapter, name: string, layer: AdaptableLayer): WeightChange | undefined {
  const lowRank = modules.get(name);
  return lowRank && (lowRank.magnitude || !canBranch(layer)) ? asWeightChange(lowRank) : changes?.get(name);
}

/** Brings a layer to new weights of the adapters. An adapter at 0 takes no part; if none does, the layer is the model's own. */
function mergeAt(merge: Merge, weights: readonly number[]): void {
  const { layer, changes } = merge;
  const relevant = weights.map((weight, i) => (changes.some((list) => list[i]) ? weight : 0));
  if (relevant.every((weight, i) => weight === merge.weights[i])) return;
  merge.weights = relevant;
  unmerge(layer);
  const active = changes.map((list) =>
    list.flatMap((change, i) => (change && relevant[i] !== 0 ? [{ change, weight: relevant[i]! }] : [])),
  );
  if (active.some((list) => list.length > 0)) layer.merged = mergeLayer(layer, active);
}

function unmerge(layer: AdaptableLayer): void {
  const { merged } = layer;
  if (!merged) return;
  layer.merged = null;
  merged.high.dispose();
  merged.low.dispose();
  if (merged.bias !== layer.weights.bias) merged.bias?.dispose();
}

function plugOne(layer: AdaptableLayer, adapters: readonly Adapter[], spans: Placement['spans'], rank: number): void {
  const sizes = branchSizes(layer);
  const { modules: names, inFeatures, taps, outEach } = sizes;
  const groups = names.length;
  const a = new Float32Array(groups * rank * taps * inFeatures);
  const b = new Float32Array(groups * outEach * rank);
  adapters.forEach((adapter, i) => {
    const { start } = spans[i]!;
    names.forEach((name, g) => {
      const module = branchOf(adapter, name);
      if (!module) return;
      invariant(
        module.down.length === module.rank * taps * inFeatures && module.up.length === module.rank * outEach,
        `${name}: the LoRA does not have this layer's sizes`,
        { inFeatures, outFeatures: outEach, taps, rank: module.rank },
      );
      a.set(toBranchOrder(module.down, sizes), (g * rank + start) * taps * inFeatures);
      for (let n = 0; n < outEach; n++) {
        b.set(module.up.subarray(n * module.rank, (n + 1) * module.rank), (g * outEach + n) * rank + start);
      }
    });
  });
  setBranch(layer, { a, b, scale: new Float32Array(groups * rank), rank });
}

/**
 * LoRA adapters on a model's projections (Hu et al. 2021): y += scale * B (A x), scale = weight * alpha / rank.
 *
 * On the GPU the branches of all adapters are joined along the rank, and the modules of one packed projection (q|k|v) lie
 * side by side as groups. Weights of adapters are only factors in a small vector: moving a slider rewrites that vector,
 * nothing is merged and nothing is loaded again.
 */
import { defined, invariant } from '../core/invariant.ts';
import { asWeightChange } from '../formats/lora/products.ts';
import type { LoraModule, WeightChange } from '../formats/lora/types.ts';
import { writeTensor } from '../gpu/ops.ts';
import { Conv2d } from '../nn/conv2d.ts';
import type { Linear } from '../nn/linear.ts';
import type { AdaptableLayer } from '../nn/weights.ts';
import { setBranch, unplugBranch } from './branch.ts';
import { mergeLayer, modulesOf } from './merge.ts';

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
  readonly linear: Linear;
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
   * Joins the low-rank branches of `adapters` into those of the linear layers among `layers`; other changes are merged (see merge.ts).
   * Every weight starts at 1.
   */
  static plug(layers: readonly AdaptableLayer[], adapters: readonly Adapter[]): PluggedAdapters {
    const placements: Placement[] = [];
    const merges: Merge[] = [];
    for (const layer of layers) {
      if (!(layer instanceof Conv2d)) {
        const placement = placeBranch(layer, adapters);
        if (placement) placements.push(placement);
      }
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
    for (const { linear, rank, spans } of this.placements) {
      const groups = linear.modules.length;
      const values = new Float32Array(groups * rank);
      spans.forEach((span, i) => {
        linear.modules.forEach((name, g) => {
          const module = this.adapters[i]!.modules.get(name);
          if (!module) return;
          values.fill(
            (weights[i]! * module.alpha) / module.rank,
            g * rank + span.start,
            g * rank + span.start + span.rank,
          );
        });
      });
      writeTensor(defined(linear.lora).scale, values);
    }
    for (const merge of this.merges) mergeAt(merge, weights);
  }

  /** Takes the adapters out of the model and frees their tensors. */
  unplug(): void {
    for (const { linear } of this.placements) unplugBranch(linear);
    for (const { layer } of this.merges) unmerge(layer);
  }
}

function placeBranch(linear: Linear, adapters: readonly Adapter[]): Placement | null {
  let start = 0;
  const spans = adapters.map(({ modules }) => {
    const rank = Math.max(0, ...linear.modules.map((name) => modules.get(name)?.rank ?? 0));
    const span = { start, rank };
    start += rank;
    return span;
  });
  if (start === 0) return null;
  plugOne(linear, adapters, spans, start);
  return { linear, rank: start, spans };
}

/** What an adapter adds into the weight of a module: convolutions have no branches, so their low-rank pairs are merged too. */
function changeOf({ modules, changes }: Adapter, name: string, layer: AdaptableLayer): WeightChange | undefined {
  const lowRank = layer instanceof Conv2d ? modules.get(name) : undefined;
  return lowRank ? asWeightChange(lowRank) : changes?.get(name);
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

function plugOne(linear: Linear, adapters: readonly Adapter[], spans: Placement['spans'], rank: number): void {
  const { inFeatures, outFeatures } = linear.weights;
  const groups = linear.modules.length;
  const outEach = outFeatures / groups;
  const a = new Float32Array(groups * rank * inFeatures);
  const b = new Float32Array(outFeatures * rank);
  adapters.forEach(({ modules }, i) => {
    const { start } = spans[i]!;
    linear.modules.forEach((name, g) => {
      const module = modules.get(name);
      if (!module) return;
      invariant(
        module.down.length === module.rank * inFeatures && module.up.length === module.rank * outEach,
        `${name}: the LoRA does not have this layer's sizes`,
        { inFeatures, outFeatures: outEach, rank: module.rank },
      );
      a.set(module.down, (g * rank + start) * inFeatures);
      for (let n = 0; n < outEach; n++) {
        b.set(module.up.subarray(n * module.rank, (n + 1) * module.rank), (g * outEach + n) * rank + start);
      }
    });
  });
  setBranch(linear, { a, b, scale: new Float32Array(groups * rank), rank });
}

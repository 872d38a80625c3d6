/**
 * Adapters that are no low-rank branches of a linear layer: LoRA on convolutions, LoHa, LoKr, DoRA, full differences. Their
 * changes are computed on the GPU from the stored factors and added into a copy of the layer's weight; the weight itself stays, so
 * that taking them out restores it to the bit. Formulas: see WeightChange; on the CPU, formats/lora/products.ts.
 */
import {
  add,
  concat,
  div,
  matMul,
  mul,
  reshape,
  slice,
  sqrt,
  square,
  sub,
  sum,
  tensor,
  tidy,
} from '@tensorflow/tfjs-core';
import { invariant } from '../core/invariant.ts';
import { leastSquare } from '../formats/lora/products.ts';
import type { Delta, Product, WeightChange } from '../formats/lora/types.ts';
import { splitWeights, unpackWeights, type Tensor, type WeightLayout } from '../gpu/ops.ts';
import { Conv2d } from '../nn/conv2d.ts';
import type { MergedWeights } from '../nn/merged.ts';
import type { AdaptableLayer } from '../nn/weights.ts';

/** One adapter's change of one module, at its weight. */
export interface WeightedChange {
  readonly change: WeightChange;
  readonly weight: number;
}

export function layoutOf(layer: AdaptableLayer): WeightLayout {
  if (layer instanceof Conv2d) {
    const { outChannels, inChannels, kernelSize, format = 'f16' } = layer.weights;
    return { outputs: outChannels, inputs: inChannels, taps: kernelSize ** 2, conv: true, format };
  }
  const { outFeatures, inFeatures, format = 'f16' } = layer.weights;
  return { outputs: outFeatures, inputs: inFeatures, taps: 1, conv: false, format };
}

/** The weights of `layer` with `changes` (for each of its modules) added. The tensors are the caller's to dispose. */
export function mergeLayer(layer: AdaptableLayer, changes: readonly (readonly WeightedChange[])[]): MergedWeights {
  const layout = layoutOf(layer);
  const rows = layout.outputs / changes.length;
  const columns = layout.inputs * layout.taps;
  const made = tidy(() => {
    const base = unpackWeights(layer.weights.weight, layout);
    const parts = changes.map((list, g) => {
      const own = changes.length === 1 ? base : slice(base, [g * rows, 0], [rows, columns]);
      // A tidy for each, since one intermediate value of the largest layer takes 118 MB.
      return list.reduce<Tensor>((total, weighted) => tidy(() => addChange(total, weighted, own)), own);
    });
    const { high, low } = splitWeights(parts.length === 1 ? parts[0]! : concat(parts, 0), layout);
    const bias = mergeBias(layer.weights.bias, changes, rows);
    return bias ? [high, low, bias] : [high, low];
  });
  return { high: made[0]!, low: made[1]!, bias: made[2] ?? layer.weights.bias };
}

/** `total` and what a change adds, at its weight, to its module's weight `base` [rows, columns]. */
function addChange(total: Tensor, { change, weight }: WeightedChange, base: Tensor): Tensor {
  const { delta, scale, magnitude, inFeatures, outFeatures } = change;
  const [rows, columns] = base.shape as [number, number];
  invariant(
    rows === outFeatures && columns === inFeatures * (change.kernel?.[0] ?? 1) * (change.kernel?.[1] ?? 1),
    `${change.module}: the adapter does not have this layer's sizes`,
    { layer: base.shape, inFeatures, outFeatures },
  );
  const shape = [rows, columns] as const;
  if (!magnitude) return delta ? add(total, expand(delta, shape, scale * weight)) : total;
  const whole = reshape(delta ? add(base, expand(delta, shape, scale)) : base, [
    rows,
    inFeatures,
    columns / inFeatures,
  ]);
  const perOutput = magnitude.axis === 'output';
  const norm = sqrt(add(sum(square(whole), perOutput ? [1, 2] : [0, 2], true), leastSquare));
  const wanted = tensor(magnitude.values, perOutput ? [rows, 1, 1] : [1, inFeatures, 1]);
  const brought = reshape(mul(whole, div(mul(wanted, weight), norm)), [rows, columns]);
  return add(total, sub(brought, mul(base, weight)));
}

/** The change itself times a number, [rows, columns]. The number goes into the smallest factor. */
function expand(delta: Delta, [rows, columns]: readonly [number, number], factor: number): Tensor {
  const times = (values: Float32Array): Float32Array => values.map((value) => value * factor);
  const product = ({ a, b, rank }: Product): Tensor =>
    matMul(tensor(a, [rows, rank], 'float32'), tensor(b, [rank, columns], 'float32'));
  switch (delta.kind) {
    case 'product':
      return product({ ...delta.product, a: times(delta.product.a) });
    case 'hadamard':
      return mul(product({ ...delta.first, a: times(delta.first.a) }), product(delta.second));
    case 'kronecker': {
      const left = tensor(times(delta.left), [delta.rows, 1, delta.columns, 1], 'float32');
      const right = tensor(delta.right, [1, rows / delta.rows, 1, columns / delta.columns], 'float32');
      return reshape(mul(left, right), [rows, columns]);
    }
    case 'full':
      return mul(tensor(delta.values, [rows, columns], 'float32'), factor);
  }
}

function mergeBias(base: Tensor | null, changes: readonly (readonly WeightedChange[])[], rows: number): Tensor | null {
  const values = new Float32Array(rows * changes.length);
  let changed = false;
  changes.forEach((list, g) => {
    for (const { change, weight } of list) {
      change.bias?.forEach((value, i) => (values[g * rows + i]! += value * weight));
      changed ||= change.bias !== undefined;
    }
  });
  if (!changed) return null;
  const added1d: Tensor = tensor(values);
  return base ? add(base, added1d) : added1d;
}

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
  zeros,
} from '@tensorflow/tfjs-core';
import { invariant } from '../core/invariant.ts';
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

/** The modules of a layer, in the order of its outputs. */
export function modulesOf(layer: AdaptableLayer): readonly string[] {
  return layer instanceof Conv2d ? [layer.module] : layer.modules;
}

export function layoutOf(layer: AdaptableLayer): WeightLayout {
  if (layer instanceof Conv2d) {
    const { outChannels, inChannels, kernelSize } = layer.weights;
    return { outputs: outChannels, inputs: inChannels, taps: kernelSize ** 2, conv: true };
  }
  const { outFeatures, inFeatures } = layer.weights;
  return { outputs: outFeatures, inputs: inFeatures, taps: 1, conv: false };
}

/** The weights of `layer` with `changes` (for each of its modules) added. The tensors are the caller's to dispose. */
export function mergeLayer(layer: AdaptableLayer, changes: readonly (readonly WeightedChange[])[]): MergedWeights {
  const layout = layoutOf(layer);
  const rows = layout.outputs / changes.length;
  const columns = layout.inputs * layout.taps;
  const made = tidy(() => {
    const base = unpackWeights(layer.weights.weight, layout);
    const parts = changes.map((list, g) => {
      const own = slice(base, [g * rows, 0], [rows, columns]);
      let total: Tensor = own;
      for (const { change, weight } of list) {
        if (change.delta || change.magnitude) total = add(total, mul(added(change, own, rows), weight));
      }
      return total;
    });
    const { high, low } = splitWeights(parts.length === 1 ? parts[0]! : concat(parts, 0), layout);
    const bias = mergeBias(layer.weights.bias, changes, rows);
    return bias ? [high, low, bias] : [high, low];
  });
  return { high: made[0]!, low: made[1]!, bias: made[2] ?? layer.weights.bias };
}

/** What a change adds at weight 1 to its module's weight `base` [rows, columns]. */
function added(change: WeightChange, base: Tensor, rows: number): Tensor {
  const { delta, scale, magnitude, inFeatures } = change;
  const shape = base.shape as [number, number];
  invariant(
    rows === change.outFeatures && shape[1] === inFeatures * (change.kernel?.[0] ?? 1) * (change.kernel?.[1] ?? 1),
    `${change.module}: the adapter does not have this layer's sizes`,
    { layer: shape, inFeatures, outFeatures: change.outFeatures },
  );
  const change2d = delta ? mul(expand(delta, shape), scale) : zeros(shape);
  if (!magnitude) return change2d;
  const [inputs, taps] = [inFeatures, shape[1] / inFeatures];
  const whole = reshape(add(base, change2d), [rows, inputs, taps]);
  const [axes, norms] =
    magnitude.axis === 'output'
      ? [
          [1, 2],
          [rows, 1, 1],
        ]
      : [
          [0, 2],
          [1, inputs, 1],
        ];
  const norm = sqrt(sum(square(whole), axes, true));
  const brought = reshape(mul(whole, div(tensor(magnitude.values, norms), norm)), shape);
  return sub(brought, base);
}

/** The change itself, [rows, columns]. */
function expand(delta: Delta, [rows, columns]: readonly [number, number]): Tensor {
  const product = ({ a, b, rank }: Product): Tensor =>
    matMul(tensor(a, [rows, rank], 'float32'), tensor(b, [rank, columns], 'float32'));
  switch (delta.kind) {
    case 'product':
      return product(delta.product);
    case 'hadamard':
      return mul(product(delta.first), product(delta.second));
    case 'kronecker': {
      const left = tensor(delta.left, [delta.rows, 1, delta.columns, 1], 'float32');
      const right = tensor(delta.right, [1, rows / delta.rows, 1, columns / delta.columns], 'float32');
      return reshape(mul(left, right), [rows, columns]);
    }
    case 'full':
      return tensor(delta.values, [rows, columns], 'float32');
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

/** The low-rank branch of a layer as tensors: made from numbers, plugged in, taken out and freed. */
import { sqrt, square, sum } from '@tensorflow/tfjs-core';
import { tensor, tidy, unpackWeights, uploadTensor, type Tensor } from '../gpu/ops.ts';
import { modulesOf, type AdaptableLayer } from '../nn/weights.ts';
import { layoutOf } from './merge.ts';

/** What the branch of a layer has to fit. */
export interface BranchSizes {
  readonly modules: readonly string[];
  /** Inputs of one tap: channels or features. */
  readonly inFeatures: number;
  /** Kernel height times width: 1 for linear layers. */
  readonly taps: number;
  /** Outputs of each module. */
  readonly outEach: number;
}

export function branchSizes(layer: AdaptableLayer): BranchSizes {
  const { outputs, inputs, taps } = layoutOf(layer);
  const modules = modulesOf(layer);
  return { modules, inFeatures: inputs, taps, outEach: outputs / modules.length };
}

/** Whether a layer's sizes are such that its kernels take a branch. conv_in of an inpainting model has 9 channels. */
export function canBranch(layer: AdaptableLayer): boolean {
  const { inFeatures, outEach } = branchSizes(layer);
  return inFeatures % 4 === 0 && outEach % 4 === 0;
}

/** lora_down of a module [rank, in, taps] as it lies in a branch: [rank, taps, in]. */
export function toBranchOrder(down: Float32Array, { inFeatures, taps }: BranchSizes): Float32Array {
  return reordered(down, inFeatures, taps);
}

/** The reverse of {@link toBranchOrder}. */
export function fromBranchOrder(down: Float32Array, { inFeatures, taps }: BranchSizes): Float32Array {
  return reordered(down, taps, inFeatures);
}

/** [.., rows, columns] to [.., columns, rows]. */
function reordered(values: Float32Array, rows: number, columns: number): Float32Array {
  if (rows === 1 || columns === 1) return values;
  const size = rows * columns;
  const out = new Float32Array(values.length);
  for (let start = 0; start < values.length; start += size) {
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++) {
        out[start + column * rows + row] = values[start + row * columns + column]!;
      }
    }
  }
  return out;
}

/** The numbers of a branch as they lie on the GPU: see LoraBranch. `rank` is that of one group. */
export interface BranchValues {
  readonly a: Float32Array;
  readonly b: Float32Array;
  readonly scale: Float32Array;
  readonly rank: number;
}

/** Plugs a branch into `layer`, instead of what is there. */
export function setBranch(layer: AdaptableLayer, { a, b, scale, rank }: BranchValues): void {
  unplugBranch(layer);
  const { modules, inFeatures, taps, outEach } = branchSizes(layer);
  const groups = modules.length;
  layer.lora = {
    a: tensor(a, [groups * rank, taps * inFeatures]),
    b: tensor(b, [groups * outEach, rank]),
    scale: tensor(scale, [groups * rank]),
    groups,
  };
  for (const t of [layer.lora.a, layer.lora.b, layer.lora.scale]) uploadTensor(t);
}

/** Makes the branch of `layer` one of DoRA, with magnitudes given or, to begin with, those of the layer's weights. */
export function setMagnitude(layer: AdaptableLayer, values: Float32Array | null): void {
  const layout = layoutOf(layer);
  const [squares, norms] = tidy((): Tensor[] => {
    const sums: Tensor = sum(square(unpackWeights(layer.weights.weight, layout)), 1);
    return [sums, sqrt(sums)];
  });
  let vector = norms!;
  if (values) {
    vector.dispose();
    vector = tensor(values, [layout.outputs]);
    uploadTensor(vector);
  }
  layer.magnitude = { vector, squares: squares! };
}

/** Takes the branch out of `layer` and frees it. */
export function unplugBranch(layer: AdaptableLayer): void {
  const { lora, magnitude } = layer;
  layer.lora = null;
  layer.magnitude = null;
  const tensors = [
    ...(lora ? [lora.a, lora.b, lora.scale] : []),
    ...(magnitude ? [magnitude.vector, magnitude.squares] : []),
  ];
  for (const t of tensors) t.dispose();
}

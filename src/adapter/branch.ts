/** The low-rank branch of a layer as tensors: made from numbers, plugged in, taken out and freed. */
import { tensor, uploadTensor } from '../gpu/ops.ts';
import type { Linear } from '../nn/linear.ts';

/** The numbers of a branch as they lie on the GPU: see LoraBranch. `rank` is that of one group. */
export interface BranchValues {
  readonly a: Float32Array;
  readonly b: Float32Array;
  readonly scale: Float32Array;
  readonly rank: number;
}

/** Plugs a branch into `linear`, instead of what is there. */
export function setBranch(linear: Linear, { a, b, scale, rank }: BranchValues): void {
  unplugBranch(linear);
  const { inFeatures, outFeatures } = linear.weights;
  const groups = linear.modules.length;
  linear.lora = {
    a: tensor(a, [groups * rank, inFeatures]),
    b: tensor(b, [outFeatures, rank]),
    scale: tensor(scale, [groups * rank]),
    groups,
  };
  for (const t of [linear.lora.a, linear.lora.b, linear.lora.scale]) uploadTensor(t);
}

/** Takes the branch out of `linear` and frees it. */
export function unplugBranch(linear: Linear): void {
  if (!linear.lora) return;
  const { a, b, scale } = linear.lora;
  linear.lora = null;
  for (const t of [a, b, scale]) t.dispose();
}

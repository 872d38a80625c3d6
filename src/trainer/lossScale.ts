/**
 * Loss scaling for mixed precision (Micikevicius et al. 2018, "Mixed precision training", section 3.2): the way back is multiplied by a
 * power of two, so that gradients which halves round to 0 survive, and the optimizer is told to divide by it.
 *
 * A loss is a mean, so the gradient towards each element of the model's answer is its error over the number of elements: that
 * number is what they are multiplied by. The scale follows from sizes alone, and so do the bits; nothing has to be found out on the way and
 * kept with the run. Beyond the largest half products saturate (tile_f16.wgsl), so that a rare large gradient costs no step.
 */
import type { NoisyBatch } from './batch.ts';

/** The factor for one optimizer step on `batches`: the power of two that is nearest to their elements. 2^14 for one picture of SD 1.5 at 512 px. */
export function lossScaleOf(batches: readonly Pick<NoisyBatch, 'shape'>[]): number {
  const elements = batches.reduce((sum, { shape: [n, h, w, c] }) => sum + n * h * w * c, 0);
  return 2 ** Math.round(Math.log2(elements));
}

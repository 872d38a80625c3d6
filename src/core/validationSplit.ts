/** Which images are kept for validation: those that were marked by hand or, where none is, as many as asked for, drawn by the seed. */
import { TorchGenerator } from './rng.ts';
import type { ValidationOptions } from './trainOptions.ts';

/**
 * For each image whether it is held out. Drawn are `count` images or, where that is 0, the share `split`, rounded, but at least one;
 * one image is always left to train on.
 */
export function heldOutImages(
  images: readonly { readonly heldOut?: boolean }[],
  { split, count, seed }: Pick<ValidationOptions, 'split' | 'count' | 'seed'>,
): boolean[] {
  if (images.some(({ heldOut }) => heldOut === true)) return images.map(({ heldOut }) => heldOut === true);
  const byShare = split > 0 ? Math.max(1, Math.round(split * images.length)) : 0;
  const wanted = Math.min(count > 0 ? count : byShare, images.length - 1);
  const drawn = new Set(new TorchGenerator(seed).randperm(images.length).subarray(0, Math.max(0, wanted)));
  return images.map((_, i) => drawn.has(i));
}

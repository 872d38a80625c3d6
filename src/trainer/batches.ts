/** Which images, timesteps and noise a training step uses: a pure function of (seed, step), so that a resumed run draws alike. */
import { defined } from '../core/invariant.ts';
import { deriveSeed, TorchGenerator } from '../core/rng.ts';

export interface BatchEntry {
  /** Index into the dataset. */
  readonly image: number;
  readonly flipped: boolean;
  /** 0 .. numTrainTimesteps - 1. */
  readonly timestep: number;
}

export interface BatchPlan {
  readonly seed: number;
  readonly imageCount: number;
  readonly trainBatchSize: number;
  /** Chance of a horizontal flip, 0..1. */
  readonly flipProbability: number;
  readonly numTrainTimesteps: number;
}

/** The batch of step `step` (from 0). Every epoch is a new permutation of all images; batches run on across epochs. */
export function planBatch(plan: BatchPlan, step: number): BatchEntry[] {
  const { seed, imageCount, trainBatchSize, flipProbability, numTrainTimesteps } = plan;
  const timesteps = new TorchGenerator(deriveSeed(seed, 'timestep', step)).randint(trainBatchSize, numTrainTimesteps);
  const flips = new TorchGenerator(deriveSeed(seed, 'flip', step)).rand(trainBatchSize);
  return Array.from({ length: trainBatchSize }, (_, i) => {
    const drawn = step * trainBatchSize + i;
    const epoch = Math.floor(drawn / imageCount);
    const order = new TorchGenerator(deriveSeed(seed, 'epoch', epoch)).randperm(imageCount);
    return {
      image: defined(order[drawn % imageCount]),
      flipped: flips[i]! < flipProbability,
      timestep: timesteps[i]!,
    };
  });
}

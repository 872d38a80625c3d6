/**
 * Which images, crops, captions, timesteps and noise a batch uses: a pure function of (seed, batch number), so that a resumed run draws
 * alike.
 *
 * Epochs are made as in kohya's sd-scripts: each shows every image `repeats` times; images of one bucket are shuffled and cut into
 * batches, the last of which may be smaller; then the batches of all buckets are shuffled. Class images (prior preservation) are shown
 * as often as all others together, in turns.
 */
import { batchesPerEpoch, type PlannedImage, showsByBucket } from '../core/epochs.ts';
import { defined } from '../core/invariant.ts';
import { deriveSeed, TorchGenerator } from '../core/rng.ts';

export interface BatchEntry {
  /** Index into the plan's images. */
  readonly image: number;
  readonly flipped: boolean;
  /** 0 .. numTrainTimesteps - 1. */
  readonly timestep: number;
  /** Which of the image's crops. */
  readonly crop: number;
  readonly caption: CaptionDraw;
}

/** How a caption is varied this time: see dataset/captionDraw.ts. */
export interface CaptionDraw {
  readonly dropped: boolean;
  /** Seed of the order of its tags. */
  readonly seed: number;
}

export interface BatchPlan {
  readonly seed: number;
  readonly images: readonly PlannedImage[];
  readonly trainBatchSize: number;
  /** Chance of a horizontal flip, 0..1. */
  readonly flipProbability: number;
  /** Chance that a caption is replaced by the empty one, 0..1. */
  readonly captionDropout: number;
  readonly numTrainTimesteps: number;
}

/**
 * Batch number `batch`, from 0, counted over all epochs: see batchesOfStep in core/epochs.ts. It has
 * `trainBatchSize` entries, or fewer at the end of a bucket.
 */
export function planBatch(plan: BatchPlan, batch: number): BatchEntry[] {
  const { seed, images, flipProbability, captionDropout, numTrainTimesteps } = plan;
  const perEpoch = batchesPerEpoch(plan);
  const shown = defined(epochBatches(plan, Math.floor(batch / perEpoch))[batch % perEpoch]);
  const n = shown.length;
  const timesteps = new TorchGenerator(deriveSeed(seed, 'timestep', batch)).randint(n, numTrainTimesteps);
  const draws = (purpose: string): Float32Array => new TorchGenerator(deriveSeed(seed, purpose, batch)).rand(n);
  const [flips, dropouts, crops] = [draws('flip'), draws('caption dropout'), draws('crop')];
  return shown.map((image, i) => ({
    image,
    flipped: flips[i]! < flipProbability,
    timestep: timesteps[i]!,
    crop: Math.floor(crops[i]! * defined(images[image]).crops),
    caption: { dropped: dropouts[i]! < captionDropout, seed: deriveSeed(seed, 'caption', batch, i) },
  }));
}

/** The images of each batch of an epoch. */
function epochBatches({ seed, images, trainBatchSize }: BatchPlan, epoch: number): number[][] {
  const generator = new TorchGenerator(deriveSeed(seed, 'epoch', epoch));
  const batches: number[][] = [];
  for (const shows of showsByBucket(images, epoch).values()) {
    const order = generator.randperm(shows.length);
    for (let start = 0; start < shows.length; start += trainBatchSize) {
      batches.push(Array.from(order.subarray(start, start + trainBatchSize), (at) => defined(shows[at])));
    }
  }
  return Array.from(generator.randperm(batches.length), (at) => defined(batches[at]));
}

/** How an epoch is made up: which images it shows how often, and how many batches that makes. */
import { bucketName, bucketOf, type Size, type SizeOptions } from './buckets.ts';
import { defined } from './invariant.ts';
import type { TrainOptions } from './trainOptions.ts';

export interface PlannedImage {
  /** Images of one bucket have one size and so may share a batch. */
  readonly bucket: string;
  /** How often an epoch shows it. */
  readonly repeats: number;
  /** Crops it was prepared in, at least 1. */
  readonly crops: number;
  /** A class image: shown as often as there is room for, whatever its repeats. */
  readonly isClass: boolean;
}

/** An image as far as epochs care. */
export interface CountedImage extends Size {
  /** Null: as the options say. */
  readonly repeats: number | null;
}

/** What epochs depend on. */
type EpochOptions = Pick<TrainOptions, 'resolution' | 'buckets' | 'repeats' | 'priorPreservation'>;

/** What the number of steps depends on. */
type StepOptions = Pick<
  TrainOptions,
  'trainBatchSize' | 'gradientAccumulationSteps' | 'maxTrainSteps' | 'maxTrainEpochs'
>;

/** Class images are drawn at the size that they are trained at. */
export function classImageSize(options: SizeOptions): Size {
  const square = { width: options.resolution, height: options.resolution };
  return bucketOf(square, options).bucket;
}

/** Images to train on (without those that are held out), then the class images, which are squares. Every image has one crop. */
export function planImages(images: readonly CountedImage[], options: EpochOptions): PlannedImage[] {
  const { repeats: shared, priorPreservation } = options;
  const own = images.map((image) => ({
    bucket: bucketName(bucketOf(image, options).bucket),
    repeats: image.repeats ?? shared,
    crops: 1,
    isClass: false,
  }));
  const classImage = { bucket: bucketName(classImageSize(options)), repeats: 1, crops: 1, isClass: true };
  const classCount = priorPreservation.enabled ? priorPreservation.classImages : 0;
  return [...own, ...Array.from({ length: classCount }, () => classImage)];
}

interface EpochPlan {
  readonly images: readonly PlannedImage[];
  readonly trainBatchSize: number;
}

/** Batches of one epoch. Every epoch has as many. */
export function batchesPerEpoch(plan: EpochPlan): number {
  let count = 0;
  for (const shows of showsByBucket(plan.images, 0).values()) count += Math.ceil(shows.length / plan.trainBatchSize);
  return count;
}

/**
 * Optimizer steps of one epoch. As with kohya's and diffusers' trainers no step accumulates over the end of an epoch: the last one has the batches
 * that are left.
 */
export function stepsPerEpoch(plan: EpochPlan, gradientAccumulationSteps: number): number {
  return Math.ceil(batchesPerEpoch(plan) / gradientAccumulationSteps);
}

/** Numbers of the batches, counted over all epochs, of the optimizer step that comes after `globalStep` steps. */
export function batchesOfStep(plan: EpochPlan, gradientAccumulationSteps: number, globalStep: number): number[] {
  const batches = batchesPerEpoch(plan);
  const steps = Math.ceil(batches / gradientAccumulationSteps);
  const first = (globalStep % steps) * gradientAccumulationSteps;
  const count = Math.min(gradientAccumulationSteps, batches - first);
  return Array.from({ length: count }, (_, i) => Math.floor(globalStep / steps) * batches + first + i);
}

/** The options with `maxTrainSteps` as `maxTrainEpochs` wants it, if it is set. */
export function resolveTrainSteps<T extends StepOptions>(options: T, images: readonly PlannedImage[]): T {
  const { maxTrainEpochs, trainBatchSize, gradientAccumulationSteps } = options;
  if (maxTrainEpochs === null) return options;
  const perEpoch = stepsPerEpoch({ images, trainBatchSize }, gradientAccumulationSteps);
  return { ...options, maxTrainSteps: Math.max(1, maxTrainEpochs * perEpoch) };
}

/** Every image of an epoch as often as it is shown, by bucket. */
export function showsByBucket(images: readonly PlannedImage[], epoch: number): Map<string, number[]> {
  const own: number[] = [];
  const classes: number[] = [];
  images.forEach(({ repeats, isClass }, image) => {
    if (isClass) classes.push(image);
    else for (let i = 0; i < repeats; i++) own.push(image);
  });
  const shows = [...own];
  // Epoch by epoch all class images have their turn, but an epoch is always cut alike: class images share one bucket.
  if (classes.length > 0)
    for (let i = 0; i < own.length; i++) shows.push(defined(classes[(epoch * own.length + i) % classes.length]));
  const byBucket = new Map<string, number[]>();
  for (const image of shows) {
    const { bucket } = defined(images[image]);
    const known = byBucket.get(bucket);
    if (known) known.push(image);
    else byBucket.set(bucket, [image]);
  }
  return byBucket;
}

/** What to give up, the mildest first, when a training does not fit into the GPU's memory. The result of the first ones is the same. */
import type { TrainOptions } from '../core/trainOptions.ts';
import { GpuLimitError, GpuOutOfMemoryError } from '../gpu/errors.ts';

/** Whether a training failed because the GPU has no room for it, as a whole or in one buffer. */
export function hasNoRoom(error: unknown): error is GpuOutOfMemoryError | GpuLimitError {
  return error instanceof GpuOutOfMemoryError || error instanceof GpuLimitError;
}

export interface Cheaper {
  readonly changes: Partial<TrainOptions>;
  /** What it means, as the end of "Trained with ...". */
  readonly words: string;
}

/** The next cheaper way to train that keeps the result (nearly) the same; null if there is none left. */
export function cheaper(options: TrainOptions): Cheaper | null {
  const { trainBatchSize: batch, gradientAccumulationSteps: accumulation } = options;
  if (options.activationMemory > 0)
    return { changes: { activationMemory: 0 }, words: 'no memory spent on speed: the same result, a little slower' };
  if (batch > 1) {
    const trainBatchSize = batch % 2 === 0 ? batch / 2 : 1;
    const gradientAccumulationSteps = accumulation * (batch / trainBatchSize);
    return {
      changes: { trainBatchSize, gradientAccumulationSteps },
      words: `batches of ${trainBatchSize}, the gradients of ${gradientAccumulationSteps} averaged: the same steps, a little slower`,
    };
  }
  if (options.weightsPrecision === 'f16')
    return { changes: { weightsPrecision: 'int8' }, words: 'the model’s weights kept in 8 bits' };
  return null;
}

/**
 * When checkpoints are written, and which are kept. Those on a grid of steps are what a run rolls back to when its numbers overflow:
 * as the grid depends on the options alone, a run that was killed and resumed rolls back to the same one. In between, the state is
 * written from time to time, when the run pauses and when the page is hidden: only the newest of these is worth keeping.
 */
import type { CheckpointOptions } from '../core/trainOptions.ts';

/** Where nobody asks for checkpoints, the grid to roll back to. */
const defaultGrid = 50;

/** Steps between the checkpoints of the grid. */
export function checkpointGrid({ everySteps }: CheckpointOptions): number {
  return everySteps > 0 ? everySteps : defaultGrid;
}

/** The checkpoint to roll back to from `globalStep` steps done: the last of the grid. 0 is the untrained adapter. */
export function lastOnGrid(globalStep: number, options: CheckpointOptions): number {
  const grid = checkpointGrid(options);
  return Math.floor(globalStep / grid) * grid;
}

/**
 * Which of the stored checkpoints to keep, of steps `stored`: the newest `keep` that were asked for, the last of the grid, and always
 * the newest two, so that there is one before the last should the last be damaged.
 */
export function stepsToKeep(stored: readonly number[], options: CheckpointOptions): number[] {
  const { everySteps, keep } = options;
  const sorted = [...new Set(stored)].sort((a, b) => a - b);
  const newest = sorted.at(-1) ?? 0;
  const asked = everySteps > 0 ? sorted.filter((step) => step > 0 && step % everySteps === 0) : [];
  const kept = new Set([
    ...(keep === 0 ? asked : asked.slice(-keep)),
    ...sorted.slice(-2),
    lastOnGrid(newest, options),
  ]);
  return sorted.filter((step) => kept.has(step));
}

/** How a scheduler picks its steps among the training timesteps (Lin et al. 2023, table 2), as diffusers computes it. */
import { InferenceStepsError, type TimestepSpacing } from './noiseSchedule.ts';

/** Rounds half to even, as numpy does. */
function roundHalfEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  return rest > 0.5 || (rest === 0.5 && floor % 2 !== 0) ? floor + 1 : floor;
}

/**
 * `steps` timesteps out of `numTrainTimesteps`, falling. They are whole numbers but for `linspace`, which the caller may round.
 * Throws {@link InferenceStepsError} where there are not so many.
 */
export function spaceTimesteps(
  spacing: TimestepSpacing,
  steps: number,
  numTrainTimesteps: number,
  stepsOffset: number,
): number[] {
  if (!Number.isInteger(steps) || steps < 1 || steps > numTrainTimesteps) {
    throw new InferenceStepsError(steps, numTrainTimesteps);
  }
  switch (spacing) {
    case 'leading': {
      const ratio = Math.floor(numTrainTimesteps / steps);
      const timesteps = Array.from({ length: steps }, (_, i) => (steps - 1 - i) * ratio + stepsOffset);
      if (timesteps[0]! >= numTrainTimesteps) throw new InferenceStepsError(steps, numTrainTimesteps - stepsOffset);
      return timesteps;
    }
    case 'trailing': {
      const ratio = numTrainTimesteps / steps;
      return Array.from({ length: steps }, (_, i) => roundHalfEven(numTrainTimesteps - i * ratio) - 1);
    }
    case 'linspace': {
      // A single step is numpy's linspace(0, last, 1), which is its start.
      if (steps === 1) return [0];
      const last = numTrainTimesteps - 1;
      const step = last / (steps - 1);
      return Array.from({ length: steps }, (_, i) => (i === 0 ? last : (steps - 1 - i) * step));
    }
  }
}

/** The same as whole numbers. */
export function spaceWholeTimesteps(...spacing: Parameters<typeof spaceTimesteps>): number[] {
  return spaceTimesteps(...spacing).map(roundHalfEven);
}

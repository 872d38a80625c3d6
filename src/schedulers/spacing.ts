/** How a scheduler picks its steps among the training timesteps (Lin et al. 2023, table 2), as diffusers computes it. */
import {
  InferenceStepsError,
  type NoiseSchedule,
  type SchedulerConfig,
  type TimestepSpacing,
} from './noiseSchedule.ts';
import { interpolate, karrasSigmas, timestepOf, trainSigmasOf } from './sigmas.ts';

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
      // numpy's arange steps by the difference of its first two values, which decides how halves are rounded.
      const step = numTrainTimesteps - numTrainTimesteps / steps - numTrainTimesteps;
      return Array.from({ length: steps }, (_, i) => roundHalfEven(numTrainTimesteps + i * step) - 1);
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

/**
 * The steps of a solver in lambda (DPM-Solver++, UniPC): leading and linspace put one point more and leave out the cleanest, whose
 * place the final sigma takes. Karras' sigmas span the whole schedule whatever the spacing. `sigmas` has one for each timestep.
 */
export function solverGrid(
  { timestepSpacing = 'linspace', stepsOffset = 0, useKarrasSigmas = false }: SchedulerConfig,
  { alphasCumprod, numTrainTimesteps }: NoiseSchedule,
  steps: number,
): { readonly timesteps: number[]; readonly sigmas: number[]; readonly trainSigmas: Float32Array } {
  const extra = timestepSpacing === 'trailing' ? 0 : 1;
  const most = numTrainTimesteps - extra - (timestepSpacing === 'leading' ? stepsOffset : 0);
  if (!Number.isInteger(steps) || steps < 1 || steps > most) throw new InferenceStepsError(steps, most);
  const trainSigmas = trainSigmasOf(alphasCumprod);
  if (useKarrasSigmas) {
    const sigmas = karrasSigmas(trainSigmas.at(-1)!, trainSigmas[0]!, steps);
    const logSigmas = trainSigmas.map(Math.log);
    return { timesteps: sigmas.map((sigma) => roundHalfEven(timestepOf(sigma, logSigmas))), sigmas, trainSigmas };
  }
  const timesteps = spaceWholeTimesteps(timestepSpacing, steps + extra, numTrainTimesteps, stepsOffset).slice(0, steps);
  return { timesteps, sigmas: timesteps.map((timestep) => interpolate(trainSigmas, timestep)), trainSigmas };
}

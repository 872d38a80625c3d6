/** Where image to image begins: the walk's last `strength`, from the picture's latents noised to that level. */
import type { Scheduler } from '../schedulers/types.ts';

/** The entry of `scheduler.timesteps` to begin at, of a walk of `numInferenceSteps` steps; strength from 0 to 1. */
export function startIndex(scheduler: Scheduler, numInferenceSteps: number, strength: number): number {
  const steps = Math.min(Math.floor(numInferenceSteps * strength), numInferenceSteps);
  return (numInferenceSteps - steps) * scheduler.order;
}

/** A start for `denoise`: clean scaled latents, noised with `noise` of unit variance. */
export function startFromLatents(
  scheduler: Scheduler,
  clean: Float32Array,
  noise: Float32Array,
  from: number,
): { readonly latents: Float32Array; readonly from: number } {
  // A strength too small for a step leaves the picture as it is.
  const latents = from < scheduler.timesteps.length ? scheduler.addNoise(clean, noise, from) : clean;
  return { latents, from };
}

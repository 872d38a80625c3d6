/** The schedulers by name. */
import { createDdimScheduler } from './ddim.ts';
import { createEulerScheduler } from './euler.ts';
import { parseSchedulerConfig, type SchedulerConfig } from './noiseSchedule.ts';
import type { Scheduler } from './types.ts';

const CREATE = { ddim: createDdimScheduler, euler: createEulerScheduler } as const;
export type SchedulerName = keyof typeof CREATE;
export const SCHEDULER_NAMES = Object.keys(CREATE) as readonly SchedulerName[];

/** The names that diffusers gives to the same schedulers. */
export const SCHEDULER_CLASSES: Readonly<Record<string, SchedulerName>> = {
  DDIMScheduler: 'ddim',
  EulerDiscreteScheduler: 'euler',
};

/**
 * A scheduler as diffusers' `from_config` makes it: `repoConfig` is the repository's scheduler_config.json, parsed as JSON, whatever
 * class it was written for; `overrides` go before it; what neither names has the scheduler's own default.
 *
 * Throws SchedulerConfigError for a config that is malformed or asks for what is not supported, InferenceStepsError for a number of
 * steps that the schedule does not have.
 */
export function createScheduler(
  name: SchedulerName,
  repoConfig: Readonly<Record<string, unknown>>,
  numInferenceSteps: number,
  overrides: SchedulerConfig = {},
): Scheduler {
  return CREATE[name]({ ...parseSchedulerConfig(repoConfig), ...overrides }, numInferenceSteps);
}

/** The schedulers by name. */
import { createDdimScheduler } from './ddim.ts';
import { createDpmSolverScheduler } from './dpmSolver.ts';
import { createEulerScheduler } from './euler.ts';
import { createEulerAncestralScheduler } from './eulerAncestral.ts';
import { createHeunScheduler } from './heun.ts';
import { createLcmScheduler } from './lcm.ts';
import { parseSchedulerConfig, type SchedulerConfig } from './noiseSchedule.ts';
import { createPndmScheduler } from './pndm.ts';
import type { Scheduler } from './types.ts';
import { createUniPcScheduler } from './unipc.ts';

const CREATE = {
  ddim: createDdimScheduler,
  pndm: createPndmScheduler,
  euler: createEulerScheduler,
  euler_a: createEulerAncestralScheduler,
  dpmpp_2m: createDpmSolverScheduler,
  unipc: createUniPcScheduler,
  lcm: createLcmScheduler,
  heun: createHeunScheduler,
} as const;
export type SchedulerName = keyof typeof CREATE;
export const SCHEDULER_NAMES = Object.keys(CREATE) as readonly SchedulerName[];

/** Those that can walk over Karras' sigmas; the others have no use for them. */
const KARRAS: readonly SchedulerName[] = ['euler', 'dpmpp_2m', 'unipc', 'heun'];

export function hasKarrasSigmas(name: SchedulerName): boolean {
  return KARRAS.includes(name);
}

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

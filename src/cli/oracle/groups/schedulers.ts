/** The noise schedule, and each scheduler's walk with a formula in place of the UNet. */
import { addNoise } from '../../../schedulers/ddpm.ts';
import { createScheduler } from '../../../schedulers/index.ts';
import { SCHEDULER_CLASSES } from '../../../schedulers/names.ts';
import { createNoiseSchedule } from '../../../schedulers/noiseSchedule.ts';
import type { Scheduler } from '../../../schedulers/types.ts';
import { drawsOf, undrawn } from './support.ts';
import type { Replay } from './types.ts';

/** The scheduler that a case asks for, or null if there is none of that class. */
export async function schedulerOf({ models, oracleCase }: Replay, field: string): Promise<Scheduler | null> {
  const { params } = oracleCase;
  const name = SCHEDULER_CLASSES[String(params[field])];
  if (!name) return null;
  const overrides = (params['set'] ?? {}) as Record<string, unknown>;
  const { schedulerConfig } = await models.model();
  return createScheduler(name, { ...schedulerConfig, ...overrides }, Number(params['num_inference_steps']));
}

export async function replayScheduler(replay: Replay): Promise<boolean> {
  const { pack, models, oracleCase, check, input } = replay;
  const { schedulerConfig } = await models.model();
  const set = (oracleCase.params['set'] ?? {}) as Record<string, unknown>;
  const schedule = createNoiseSchedule({ ...schedulerConfig, ...set });
  if (check.hasRole('alphas_cumprod')) {
    await check.compare('alphas_cumprod', schedule.alphasCumprod);
    return true;
  }
  if (check.hasRole('x0')) {
    const x0 = await input('x0');
    const noise = Float32Array.from((await input('noise')).values);
    const timesteps = Array.from((await input('timesteps')).values);
    const out = addNoise(schedule.alphasCumprod, Float32Array.from(x0.values), noise, timesteps);
    await check.compare('out', out);
    return true;
  }
  const scheduler = await schedulerOf(replay, 'class');
  if (!scheduler) return false;
  await check.compare('timesteps', scheduler.timesteps);
  if (check.hasRole('sigmas') && scheduler.sigmas) await check.compare('sigmas', scheduler.sigmas);
  const pseudo = pack.index['pseudo_model'] as { a: number; b: number; c: number };
  let sample = Float32Array.from((await input('x_T')).values).map((value) => value * scheduler.initNoiseSigma);
  const drawNoise = check.hasRole('noise') ? drawsOf(await input('noise')) : undrawn;
  const steps: number[] = [];
  const recorded = (await input('samples')).shape[0] ?? 0;
  if (recorded === scheduler.timesteps.length + 1) steps.push(...sample);
  for (const [i, t] of scheduler.timesteps.entries()) {
    const scaled = scheduler.scaleModelInput(sample, i);
    const eps = scaled.map((x) => pseudo.a * x + pseudo.b * Math.sin(t / pseudo.c));
    sample = Float32Array.from(scheduler.step(eps, i, sample, drawNoise));
    steps.push(...sample);
  }
  await check.compare('samples', steps);
  check.record(
    'init_noise_sigma',
    Math.abs(scheduler.initNoiseSigma - Number(oracleCase.params['init_noise_sigma'])),
    1e-5 * Math.max(10, scheduler.initNoiseSigma),
  );
  return true;
}

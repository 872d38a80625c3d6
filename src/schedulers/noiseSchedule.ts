/**
 * What a repository's scheduler_config.json says: how noise grows over the training timesteps, and how its schedulers are set.
 *
 * alphasCumprod[t] is the share of the image's variance left at timestep t. It is computed in float32 step by step, as torch does, for
 * sampling and training see exactly these numbers. Source: diffusers 0.40, schedulers/scheduling_ddpm.py and its siblings.
 */
import { LoratoryError } from '../core/errors.ts';

/** scheduler_config.json asks for something that is malformed or not supported. */
export class SchedulerConfigError extends LoratoryError {
  readonly code = 'scheduler-config';

  constructor(field: string, value: unknown, wanted: string) {
    super(
      `scheduler_config.json has ${field} = ${JSON.stringify(value)}, but ${wanted}.`,
      'Choose another scheduler, or a repository with a standard Stable Diffusion 1.5 scheduler.',
      { field, value },
    );
  }
}

/** A number of steps, or a place to start, that the noise schedule does not have. */
export class InferenceStepsError extends LoratoryError {
  readonly code = 'inference-steps';

  constructor(steps: number, numTrainTimesteps: number) {
    super(
      `${steps} inference steps are asked for, but this schedule allows whole numbers from 1 to ${numTrainTimesteps}.`,
      'Choose a number of steps between 10 and 50.',
      { steps, numTrainTimesteps },
    );
  }
}

const BETA_SCHEDULES = ['linear', 'scaled_linear', 'squaredcos_cap_v2'] as const;
const PREDICTION_TYPES = ['epsilon', 'v_prediction', 'sample'] as const;
export const TIMESTEP_SPACINGS = ['leading', 'trailing', 'linspace'] as const;
export type BetaSchedule = (typeof BETA_SCHEDULES)[number];
export type PredictionType = (typeof PREDICTION_TYPES)[number];
export type TimestepSpacing = (typeof TIMESTEP_SPACINGS)[number];

/** scheduler_config.json. What it does not name has the default of the scheduler class that reads it, so it is undefined here. */
export interface SchedulerConfig {
  readonly numTrainTimesteps?: number;
  readonly betaStart?: number;
  readonly betaEnd?: number;
  readonly betaSchedule?: BetaSchedule;
  readonly trainedBetas?: readonly number[];
  readonly predictionType?: PredictionType;
  readonly timestepSpacing?: TimestepSpacing;
  readonly stepsOffset?: number;
  readonly setAlphaToOne?: boolean;
  readonly clipSample?: boolean;
  readonly clipSampleRange?: number;
  readonly useKarrasSigmas?: boolean;
  readonly finalSigmasType?: 'zero' | 'sigma_min';
  readonly rescaleBetasZeroSnr?: boolean;
  /** Of latent consistency models: the steps of their distillation, and the factor of timesteps in their boundary condition. */
  readonly originalInferenceSteps?: number;
  readonly timestepScaling?: number;
}

/** Options that would change the result and are not built: a config may only have them switched off. */
const MUST_BE_OFF = ['thresholding', 'use_beta_sigmas', 'use_exponential_sigmas'];

/** Reads a scheduler_config.json, already parsed. Throws {@link SchedulerConfigError} for what is malformed or not supported. */
export function parseSchedulerConfig(json: Readonly<Record<string, unknown>>): SchedulerConfig {
  const get = <T>(field: string, wanted: string, is: (value: unknown) => value is T): T | undefined => {
    const value = json[field];
    if (value === undefined || value === null) return undefined;
    if (!is(value)) throw new SchedulerConfigError(field, value, wanted);
    return value;
  };
  const oneOf = <T extends string>(field: string, names: readonly T[]): T | undefined =>
    get(field, `it must be one of ${names.join(', ')}`, (value): value is T => names.some((name) => name === value));
  const flag = (field: string): boolean | undefined =>
    get(field, 'it must be true or false', (value): value is boolean => typeof value === 'boolean');
  const number = (field: string, wanted: string, is: (value: number) => boolean): number | undefined =>
    get(field, wanted, (value): value is number => typeof value === 'number' && is(value));

  for (const field of MUST_BE_OFF)
    get(field, 'Loratory does not support it', (value): value is false => value === false);
  oneOf('interpolation_type', ['linear']);
  oneOf('timestep_type', ['discrete']);
  const isBeta = (value: unknown): boolean => typeof value === 'number' && value >= 0 && value < 1;
  const isCount = (value: number): boolean => Number.isInteger(value) && value > 0 && value <= 100_000;
  const config = {
    numTrainTimesteps: number('num_train_timesteps', 'it must be a whole number from 1 to 100000', isCount),
    betaStart: number('beta_start', 'it must lie between 0 and 1', isBeta),
    betaEnd: number('beta_end', 'it must lie between 0 and 1', isBeta),
    betaSchedule: oneOf('beta_schedule', BETA_SCHEDULES),
    trainedBetas: get(
      'trained_betas',
      'it must be a list of numbers between 0 and 1',
      (value): value is readonly number[] => Array.isArray(value) && value.length > 0 && value.every(isBeta),
    ),
    predictionType: oneOf('prediction_type', PREDICTION_TYPES),
    timestepSpacing: oneOf('timestep_spacing', TIMESTEP_SPACINGS),
    stepsOffset: number('steps_offset', 'it must be 0 or a small whole number', (n) => Number.isInteger(n) && n >= 0),
    setAlphaToOne: flag('set_alpha_to_one'),
    clipSample: flag('clip_sample'),
    clipSampleRange: number('clip_sample_range', 'it must be above 0', (n) => n > 0),
    useKarrasSigmas: flag('use_karras_sigmas'),
    finalSigmasType: oneOf('final_sigmas_type', ['zero', 'sigma_min'] as const),
    rescaleBetasZeroSnr: flag('rescale_betas_zero_snr'),
    originalInferenceSteps: number('original_inference_steps', 'it must be a whole number from 1 to 100000', isCount),
    timestepScaling: number('timestep_scaling', 'it must be above 0', (n) => n > 0),
  };
  return Object.fromEntries(Object.entries(config).filter(([, value]) => value !== undefined));
}

export interface NoiseSchedule {
  /** alphasCumprod[t] for t from 0 to numTrainTimesteps - 1: the cumulative product of 1 - beta. */
  readonly alphasCumprod: Float32Array;
  readonly numTrainTimesteps: number;
  readonly predictionType: PredictionType;
}

const { fround } = Math;

/** torch.linspace in float32: both halves are computed from their own end. */
function linspace(start: number, end: number, n: number): Float32Array {
  const [first, last] = [fround(start), fround(end)];
  const step = n > 1 ? fround(fround(last - first) / (n - 1)) : 0;
  return Float32Array.from({ length: n }, (_, i) =>
    i < Math.floor(n / 2) || n === 1 ? first + fround(step * i) : last - fround(step * (n - 1 - i)),
  );
}

/** Betas of the cosine schedule (Nichol & Dhariwal 2021), capped at 0.999. */
function cosineBetas(n: number): Float32Array {
  const alphaBar = (time: number): number => Math.cos((((time + 0.008) / 1.008) * Math.PI) / 2) ** 2;
  return Float32Array.from({ length: n }, (_, i) => Math.min(1 - alphaBar((i + 1) / n) / alphaBar(i / n), 0.999));
}

function betasOf(config: SchedulerConfig): Float32Array {
  if (config.trainedBetas !== undefined) return Float32Array.from(config.trainedBetas);
  const { numTrainTimesteps: n = 1000, betaStart = 0.0001, betaEnd = 0.02, betaSchedule = 'linear' } = config;
  switch (betaSchedule) {
    case 'linear':
      return linspace(betaStart, betaEnd, n);
    case 'scaled_linear':
      return linspace(Math.sqrt(betaStart), Math.sqrt(betaEnd), n).map((root) => root * root);
    case 'squaredcos_cap_v2':
      return cosineBetas(n);
  }
}

/** The cumulative product of 1 - beta. */
function cumulativeProduct(betas: Float32Array): Float32Array {
  let product = 1;
  return betas.map((beta) => (product = fround(product * fround(1 - beta))));
}

/** Betas moved so that the last timestep is pure noise (Lin et al. 2023, algorithm 1). */
function rescaleZeroTerminalSnr(betas: Float32Array): Float32Array {
  const roots = cumulativeProduct(betas).map(Math.sqrt);
  const [first, last] = [roots[0]!, roots.at(-1)!];
  const stretch = fround(first / fround(first - last));
  const alphas = roots.map((root) => fround(fround(root - last) * stretch) ** 2);
  return alphas.map((alpha, t) => 1 - (t === 0 ? alpha : fround(alpha / alphas[t - 1]!)));
}

/** The noise schedule of a parsed config. */
export function noiseScheduleOf(config: SchedulerConfig): NoiseSchedule {
  const betas = betasOf(config);
  const alphasCumprod = cumulativeProduct(config.rescaleBetasZeroSnr ? rescaleZeroTerminalSnr(betas) : betas);
  return { alphasCumprod, numTrainTimesteps: alphasCumprod.length, predictionType: config.predictionType ?? 'epsilon' };
}

/** The same for schedulers that think in sigmas: pure noise, whose sigma is infinite, becomes a share of 2^-24, as in diffusers. */
export function withoutInfiniteSigma(schedule: NoiseSchedule): NoiseSchedule {
  return { ...schedule, alphasCumprod: schedule.alphasCumprod.map((alpha) => (alpha === 0 ? 2 ** -24 : alpha)) };
}

/** The noise schedule of a scheduler_config.json, already parsed as JSON. Throws {@link SchedulerConfigError}. */
export function createNoiseSchedule(json: Readonly<Record<string, unknown>>): NoiseSchedule {
  return noiseScheduleOf(parseSchedulerConfig(json));
}

/**
 * Plan: alphasCumprod and addNoise against torch; every recorded DDIM and Euler run (timesteps, sigmas, each step's sample) with the
 * oracle's pseudo-model in place of the UNet; v-prediction and sample prediction against epsilon, which they must equal; what
 * repositories' configs may say; typed errors.
 */
import { describe, expect, it } from 'vitest';
import { expectClose, fixtureJson, golden, oracleCases } from '../../tools/testing.ts';
import { addNoise, getVelocity } from './ddpm.ts';
import { createScheduler, SCHEDULER_CLASSES } from './index.ts';
import {
  createNoiseSchedule,
  InferenceStepsError,
  parseSchedulerConfig,
  SchedulerConfigError,
} from './noiseSchedule.ts';

const SD15 = fixtureJson('sd15-tiny/model/scheduler/scheduler_config.json') as Record<string, unknown>;
const { fround } = Math;

/** Stands in for the UNet: 0.3 x + 0.1 sin(t / 100). */
function pseudoModel(x: Float32Array, t: number): Float32Array {
  const shift = fround(fround(0.1) * fround(Math.sin(fround(t / 100))));
  return x.map((value) => fround(fround(0.3) * value) + shift);
}

describe('noise schedule', () => {
  it('computes alphasCumprod as torch does', async () => {
    const [c] = oracleCases('schedulers/alphas_cumprod');
    const { values, atol } = await golden(c!, 'alphas_cumprod');
    expectClose(createNoiseSchedule(SD15).alphasCumprod, values, atol);
  });

  it('adds noise to a batch, each image at its own timestep', async () => {
    const [c] = oracleCases('schedulers/add_noise');
    const [x0, noise, timesteps, out] = await Promise.all(
      ['x0', 'noise', 'timesteps', 'out'].map((role) => golden(c!, role)),
    );
    const { alphasCumprod } = createNoiseSchedule(SD15);
    expectClose(addNoise(alphasCumprod, x0!.values, noise!.values, timesteps!.values), out!.values, out!.atol);
  });

  it('recovers image and noise from a noised sample and its velocity', () => {
    const { alphasCumprod } = createNoiseSchedule(SD15);
    const [x0, noise] = [Float32Array.of(0.5, -1, 2), Float32Array.of(1, 0.25, -0.5)];
    const noisy = addNoise(alphasCumprod, x0, noise, [400]);
    const velocity = getVelocity(alphasCumprod, x0, noise, [400]);
    const [signal, sigma] = [Math.sqrt(alphasCumprod[400]!), Math.sqrt(1 - alphasCumprod[400]!)];
    expectClose(
      noisy.map((x, j) => signal * x - sigma * velocity[j]!),
      x0,
      1e-6,
    );
    expectClose(
      noisy.map((x, j) => sigma * x + signal * velocity[j]!),
      noise,
      1e-6,
    );
  });

  it('knows the other beta schedules', () => {
    const last = (config: Record<string, unknown>): number => createNoiseSchedule(config).alphasCumprod.at(-1)!;
    // Products of 1 - beta in exact arithmetic.
    expect(last({ beta_schedule: 'linear' })).toBeCloseTo(4.0358e-5, 8);
    expect(last({ beta_schedule: 'squaredcos_cap_v2' })).toBeCloseTo(2.4287e-9, 12);
    expect([...createNoiseSchedule({ trained_betas: [0.5, 0.25] }).alphasCumprod]).toEqual([0.5, 0.375]);
    expect(createNoiseSchedule({ trained_betas: [0.5, 0.25] }).numTrainTimesteps).toBe(2);
  });
});

const RUNS = oracleCases('schedulers/').filter((c) => (c.params['class'] as string | undefined) !== undefined);

describe('samplers', () => {
  it('are covered by recorded runs of each class', () => {
    expect(new Set(RUNS.map((c) => SCHEDULER_CLASSES[c.params['class'] as string]))).toEqual(
      new Set(['ddim', 'euler']),
    );
  });

  it.each(RUNS)('follow diffusers step by step: $id', async (c) => {
    const name = SCHEDULER_CLASSES[c.params['class'] as string]!;
    const set = c.params['set'] as Record<string, unknown>;
    const scheduler = createScheduler(name, { ...SD15, ...set }, c.params['num_inference_steps'] as number);
    const timesteps = await golden(c, 'timesteps');
    expectClose(scheduler.timesteps, timesteps.values, timesteps.atol, 'timesteps');
    if (c.roles['sigmas'] !== undefined) {
      const sigmas = await golden(c, 'sigmas');
      expectClose(scheduler.sigmas!, sigmas.values, sigmas.atol, 'sigmas');
    }
    expect(scheduler.initNoiseSigma).toBeCloseTo(c.params['init_noise_sigma'] as number, 4);

    const samples = await golden(c, 'samples');
    let sample = (await golden(c, 'x_T')).values.map((x) => x * scheduler.initNoiseSigma) as Float32Array;
    scheduler.timesteps.forEach((timestep, i) => {
      sample = scheduler.step(pseudoModel(scheduler.scaleModelInput(sample, i), timestep), i, sample);
      const recorded = samples.values.subarray(i * sample.length, (i + 1) * sample.length);
      expectClose(sample, recorded, samples.atol, `sample after step ${i}`);
    });
  });

  it.each(['ddim', 'euler'] as const)('%s gives the same step for each kind of prediction', (name) => {
    const noise = Float32Array.of(0.3, -1.2, 0.7);
    const original = Float32Array.of(0.9, -0.4, 0.1);
    const make = (predictionType: 'epsilon' | 'v_prediction' | 'sample') =>
      createScheduler(name, SD15, 10, { predictionType });
    const [epsilon, velocity, sample] = [make('epsilon'), make('v_prediction'), make('sample')];
    const { alphasCumprod } = createNoiseSchedule(SD15);
    const i = 4;
    const noisy = epsilon.addNoise(original, noise, i);
    // Euler's timesteps are fractional, so the velocity is made from sigma: alpha = 1 / (1 + sigma^2).
    const sigma = epsilon.sigmas?.[i];
    const alpha = sigma === undefined ? alphasCumprod[epsilon.timesteps[i]!]! : 1 / (1 + sigma * sigma);
    const v = noise.map((e, j) => Math.sqrt(alpha) * e - Math.sqrt(1 - alpha) * original[j]!);

    expectClose(epsilon.predOriginalSample(noise, i, noisy), original, 1e-6);
    expectClose(velocity.predOriginalSample(v, i, noisy), original, 1e-6);
    const next = epsilon.step(noise, i, noisy);
    expectClose(next, epsilon.addNoise(original, noise, i + 1), name === 'ddim' ? 1e-6 : 1e-5);
    expectClose(velocity.step(v, i, noisy), next, 2e-6);
    expectClose(sample.step(original, i, noisy), next, 2e-6);
  });

  it('reads clip_sample: DDIM clips by default, SD1.5 says not to', () => {
    const [output, x] = [Float32Array.of(-8), Float32Array.of(5)];
    const { clip_sample: _, ...silent } = SD15;
    expect(createScheduler('ddim', silent, 10).predOriginalSample(output, 5, x)[0]).toBe(1);
    expect(createScheduler('ddim', SD15, 10).predOriginalSample(output, 5, x)[0]).toBeGreaterThan(5);
  });

  it('ends DDIM on alpha 1 where set_alpha_to_one says so', () => {
    const scheduler = createScheduler('ddim', { ...SD15, set_alpha_to_one: true }, 10);
    const [output, x] = [Float32Array.of(0.5), Float32Array.of(1)];
    expect(scheduler.step(output, 9, x)).toEqual(scheduler.predOriginalSample(output, 9, x));
  });

  it('ends Euler on the smallest training sigma where final_sigmas_type says so', () => {
    const sigmas = createScheduler('euler', { ...SD15, final_sigmas_type: 'sigma_min' }, 5).sigmas!;
    expect(sigmas.at(-1)).toBe(sigmas.at(-2));
  });

  it('refuses numbers of steps that the schedule does not have', () => {
    for (const steps of [0, 1.5, 1001, NaN])
      expect(() => createScheduler('ddim', SD15, steps)).toThrow(InferenceStepsError);
    expect(() => createScheduler('ddim', SD15, 1000)).toThrow(
      '1000 inference steps are asked for, but this schedule allows whole numbers from 1 to 999.',
    );
    expect(createScheduler('euler', SD15, 1).timesteps).toEqual([0]);
  });

  it('refuses configs that it cannot follow, saying what is wrong', () => {
    const refuse = (field: string, value: unknown, message: string): void => {
      expect(() => parseSchedulerConfig({ ...SD15, [field]: value })).toThrow(SchedulerConfigError);
      expect(() => parseSchedulerConfig({ ...SD15, [field]: value })).toThrow(message);
    };
    refuse('rescale_betas_zero_snr', true, 'rescale_betas_zero_snr = true, but Loratory does not support it.');
    refuse(
      'beta_schedule',
      'sigmoid',
      'beta_schedule = "sigmoid", but it must be one of linear, scaled_linear, squaredcos_cap_v2.',
    );
    refuse('beta_end', 2, 'beta_end = 2, but it must lie between 0 and 1.');
    refuse(
      'num_train_timesteps',
      '1000',
      'num_train_timesteps = "1000", but it must be a whole number from 1 to 100000.',
    );
    refuse('trained_betas', [], 'trained_betas = [], but it must be a list of numbers between 0 and 1.');
    refuse('clip_sample', 'no', 'clip_sample = "no", but it must be true or false.');
    expect(parseSchedulerConfig({ trained_betas: null })).toEqual({});
  });
});

/**
 * Plan: alphasCumprod and addNoise against torch; every recorded run of every scheduler (timesteps, sigmas, each step's sample) with the
 * oracle's pseudo-model in place of the UNet; v-prediction and sample prediction against epsilon, which they must equal over whole
 * walks; starts in the middle; zero terminal SNR; names; what repositories' configs may say; typed errors.
 */
import { describe, expect, it } from 'vitest';
import { expectClose, fixtureJson, golden, oracleCases } from '../../tools/testing.ts';
import { addNoise, getVelocity } from './ddpm.ts';
import { createScheduler, SCHEDULER_NAMES } from './index.ts';
import { parseSchedulerName, SCHEDULER_CLASSES, SCHEDULER_LABELS } from './names.ts';
import {
  createNoiseSchedule,
  InferenceStepsError,
  parseSchedulerConfig,
  SchedulerConfigError,
} from './noiseSchedule.ts';

const SD15 = fixtureJson('sd15-tiny/model/scheduler/scheduler_config.json') as Record<string, unknown>;
const { fround } = Math;
/** For schedulers that draw no noise. */
const undrawn = (): never => {
  throw new Error('noise was drawn');
};

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
    expect(new Set(RUNS.map((c) => SCHEDULER_CLASSES[c.params['class'] as string]))).toEqual(new Set(SCHEDULER_NAMES));
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
    const noise = c.roles['noise'] === undefined ? null : (await golden(c, 'noise')).values;
    let drawn = 0;
    let sample = (await golden(c, 'x_T')).values.map((x) => x * scheduler.initNoiseSigma) as Float32Array;
    scheduler.timesteps.forEach((timestep, i) => {
      const size = sample.length;
      const drawNoise = noise ? () => noise.subarray(drawn * size, ++drawn * size) : undrawn;
      sample = scheduler.step(pseudoModel(scheduler.scaleModelInput(sample, i), timestep), i, sample, drawNoise);
      const recorded = samples.values.subarray(i * sample.length, (i + 1) * sample.length);
      expectClose(sample, recorded, samples.atol, `sample after step ${i}`);
    });
    expect(drawn * sample.length).toBe(noise?.length ?? 0);
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
    const next = epsilon.step(noise, i, noisy, undrawn);
    expectClose(next, epsilon.addNoise(original, noise, i + 1), name === 'ddim' ? 1e-6 : 1e-5);
    expectClose(velocity.step(v, i, noisy, undrawn), next, 2e-6);
    expectClose(sample.step(original, i, noisy, undrawn), next, 2e-6);
  });

  it.each(SCHEDULER_NAMES)('%s walks the same whatever the model predicts', (name) => {
    // A model that knows the clean sample: its noise, velocity and sample all say the same.
    const original = Float32Array.of(0.9, -0.4, 0.1, 0);
    const walk = (predictionType: 'epsilon' | 'v_prediction' | 'sample'): Float32Array => {
      const scheduler = createScheduler(name, SD15, 8, { predictionType });
      const noise = Float32Array.of(0.3, -1.2, 0.7, 1.5);
      let draws = 0;
      const drawNoise = (): Float32Array => noise.map((x) => Math.sin(x * ++draws));
      let sample: Float32Array = noise.map((x) => x * scheduler.initNoiseSigma);
      scheduler.timesteps.forEach((timestep, i) => {
        // The model sees a sample of unit variance, at the level that the timestep or sigma says.
        const input = scheduler.scaleModelInput(sample, i);
        const sigma = scheduler.sigmas?.[i];
        const alpha = sigma === undefined ? createNoiseSchedule(SD15).alphasCumprod[timestep]! : 1 / (1 + sigma ** 2);
        const [signal, deviation] = [Math.sqrt(alpha), Math.sqrt(1 - alpha)];
        const epsilon = input.map((x, j) => (x - signal * original[j]!) / deviation);
        const velocity = epsilon.map((e, j) => signal * e - deviation * original[j]!);
        const output = { epsilon, v_prediction: velocity, sample: original }[predictionType];
        expectClose(scheduler.predOriginalSample(output, i, sample), original, 1e-4, 'predicted original');
        sample = scheduler.step(output, i, sample, drawNoise);
      });
      return sample;
    };
    const epsilon = walk('epsilon');
    // PNDM extrapolates what the model says before it asks what it means, as in diffusers.
    const atol = name === 'pndm' ? 0.05 : 1e-4;
    expectClose(walk('v_prediction'), epsilon, atol, 'walk by velocity');
    expectClose(walk('sample'), epsilon, atol, 'walk by sample');
    // PNDM and DDIM end at the first timestep's level, the others on the clean sample.
    expectClose(epsilon, original, name === 'ddim' || name === 'pndm' ? 0.1 : 1e-4, 'end');
  });

  it.each(SCHEDULER_NAMES)('%s may begin in the middle, at a multiple of its order', (name) => {
    const original = Float32Array.of(0.9, -0.4, 0.1, 0);
    const noise = Float32Array.of(0.3, -1.2, 0.7, 1.5);
    const scheduler = createScheduler(name, SD15, 10, { predictionType: 'sample' });
    const from = 4 * scheduler.order;
    let sample = scheduler.addNoise(original, noise, from);
    const sigma = scheduler.sigmas?.[from];
    const timestep = scheduler.timesteps[from]!;
    const alpha = sigma === undefined ? createNoiseSchedule(SD15).alphasCumprod[timestep]! : 1 / (1 + sigma ** 2);
    expectClose(
      scheduler.scaleModelInput(sample, from),
      original.map((x, j) => Math.sqrt(alpha) * x + Math.sqrt(1 - alpha) * noise[j]!),
      1e-5,
    );
    for (let i = from; i < scheduler.timesteps.length; i++) sample = scheduler.step(original, i, sample, () => noise);
    expectClose(sample, original, name === 'ddim' || name === 'pndm' ? 0.1 : 1e-5);
  });

  it('puts the second timestep of PNDM and all but the first of Heun twice', () => {
    expect(createScheduler('pndm', SD15, 4).timesteps).toEqual([751, 501, 501, 251, 1]);
    expect(createScheduler('pndm', SD15, 1).timesteps).toEqual([1]);
    expect(createScheduler('heun', SD15, 3, { timestepSpacing: 'leading' }).timesteps).toEqual([667, 334, 334, 1, 1]);
  });

  it('spaces the timesteps of each solver', () => {
    const at = (name: 'dpmpp_2m' | 'unipc', timestepSpacing: 'leading' | 'trailing' | 'linspace') =>
      createScheduler(name, SD15, 4, { timestepSpacing }).timesteps;
    for (const name of ['dpmpp_2m', 'unipc'] as const) {
      expect(at(name, 'leading')).toEqual([801, 601, 401, 201]);
      expect(at(name, 'trailing')).toEqual([999, 749, 499, 249]);
      expect(at(name, 'linspace')).toEqual([999, 749, 500, 250]);
    }
    expect(createScheduler('lcm', SD15, 4).timesteps).toEqual([999, 759, 499, 259]);
  });

  it('rounds trailing timesteps as numpy does, where they end in a half', () => {
    const { timesteps } = createScheduler('ddim', SD15, 48, { timestepSpacing: 'trailing' });
    // np.arange(1000, 0, -1000 / 48).round() - 1
    expect([3, 15, 27, 39].map((i) => timesteps[i])).toEqual([936, 686, 436, 186]);
  });

  it('reaches pure noise where rescale_betas_zero_snr says so, and walks from it by velocity', () => {
    const config = { ...SD15, rescale_betas_zero_snr: true, prediction_type: 'v_prediction' };
    const { alphasCumprod } = createNoiseSchedule(config);
    expect(alphasCumprod[999]).toBe(0);
    expect(alphasCumprod[0]).toBeCloseTo(createNoiseSchedule(SD15).alphasCumprod[0]!, 5);
    const trailing = { timestepSpacing: 'trailing' } as const;
    expect(createScheduler('euler', config, 5, trailing).initNoiseSigma).toBeCloseTo(4096, 0);
    for (const name of SCHEDULER_NAMES) {
      const scheduler = createScheduler(name, config, 5, trailing);
      let sample = Float32Array.of(0.3, -1.2).map((x) => x * scheduler.initNoiseSigma) as Float32Array;
      scheduler.timesteps.forEach((timestep, i) => {
        const output = pseudoModel(scheduler.scaleModelInput(sample, i), timestep);
        sample = scheduler.step(output, i, sample, () => Float32Array.of(0.5, 0.5));
      });
      expect(
        [...sample].every((x) => Math.abs(x) < 10),
        `${name}: ${sample.join(', ')}`,
      ).toBe(true);
    }
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
    expect(scheduler.step(output, 9, x, undrawn)).toEqual(scheduler.predOriginalSample(output, 9, x));
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
    expect(() => createScheduler('lcm', SD15, 51)).toThrow('whole numbers from 1 to 50.');
    expect(() => createScheduler('dpmpp_2m', SD15, 1000)).toThrow('whole numbers from 1 to 999.');
  });

  it('refuses configs that it cannot follow, saying what is wrong', () => {
    const refuse = (field: string, value: unknown, message: string): void => {
      expect(() => parseSchedulerConfig({ ...SD15, [field]: value })).toThrow(SchedulerConfigError);
      expect(() => parseSchedulerConfig({ ...SD15, [field]: value })).toThrow(message);
    };
    refuse('use_beta_sigmas', true, 'use_beta_sigmas = true, but Loratory does not support it.');
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

describe('scheduler names', () => {
  it("are understood in every tool's spelling", () => {
    for (const name of SCHEDULER_NAMES) {
      expect(parseSchedulerName(name)).toEqual({ name, useKarrasSigmas: false });
      expect(parseSchedulerName(SCHEDULER_LABELS[name].toUpperCase())).toEqual({ name, useKarrasSigmas: false });
    }
    expect(parseSchedulerName('DPM++ 2M Karras')).toEqual({ name: 'dpmpp_2m', useKarrasSigmas: true });
    expect(parseSchedulerName('euler_ancestral')?.name).toBe('euler_a');
    expect(parseSchedulerName('uni_pc')?.name).toBe('unipc');
    expect(parseSchedulerName('HeunDiscreteScheduler')?.name).toBe('heun');
  });

  it('are none where nobody has them, or where Karras sigmas mean nothing', () => {
    expect(parseSchedulerName('DPM adaptive')).toBeNull();
    expect(parseSchedulerName('DDIM Karras')).toBeNull();
    expect(parseSchedulerName('karras')).toBeNull();
  });
});

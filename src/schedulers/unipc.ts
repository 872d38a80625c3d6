/**
 * UniPC of second order with B(h) = exp(h) - 1 (Zhao et al. 2023, "bh2"): a predictor as DPM-Solver++'s, and before it a corrector that
 * redoes the step that led here, now that the model has been asked at its end. Source: diffusers 0.40, UniPCMultistepScheduler
 * (predict_x0, solver_order 2, lower_order_final), and its defaults.
 */
import { noiseScheduleOf, withoutInfiniteSigma, type SchedulerConfig } from './noiseSchedule.ts';
import { levelAt, levelsOf, originalAtLevel } from './sigmas.ts';
import { solverGrid } from './spacing.ts';
import type { Scheduler } from './types.ts';

const { fround } = Math;

/** The step that led to the current sample: where it began, of which order it was. */
interface Taken {
  readonly sample: Float32Array;
  readonly order: 1 | 2;
}

/** A UniPC scheduler of `numInferenceSteps` steps. Throws InferenceStepsError for a number that the schedule does not have. */
export function createUniPcScheduler(config: SchedulerConfig, numInferenceSteps: number): Scheduler {
  const { finalSigmasType = 'zero', useKarrasSigmas = false } = config;
  const schedule = withoutInfiniteSigma(noiseScheduleOf(config));
  const { timesteps, sigmas: begin, trainSigmas } = solverGrid(config, schedule, numInferenceSteps);
  const smallest = useKarrasSigmas ? begin.at(-1)! : trainSigmas[0]!;
  const sigmas = Float32Array.from([...begin, finalSigmasType === 'zero' ? 0 : smallest]);
  const levels = levelsOf(sigmas);
  /** Clean samples predicted at the last two steps, the newest first. */
  let originals: readonly Float32Array[] = [];
  let taken: Taken | null = null;

  const predOriginalSample = (modelOutput: Float32Array, i: number, sample: Float32Array): Float32Array =>
    originalAtLevel(schedule.predictionType, modelOutput, levelAt(levels, i), sample);

  /** The share of step `i` that lies between its beginning and the beginning of the step before: negative. */
  const ratio = (i: number): number =>
    fround(fround(levelAt(levels, i - 1).lambda - levelAt(levels, i).lambda) / stride(i));
  const stride = (i: number): number => fround(levelAt(levels, i + 1).lambda - levelAt(levels, i).lambda);

  /** Step i from `sample`: along the newest prediction, with `correction(j)` for its change. */
  function advance(i: number, sample: Float32Array, correction: (j: number) => number): Float32Array {
    const [from, to] = [levelAt(levels, i), levelAt(levels, i + 1)];
    const growth = fround(Math.expm1(-stride(i)));
    const keep = fround(to.sigma / from.sigma);
    const gain = fround(to.alpha * growth);
    const newest = originals[0]!;
    return sample.map(
      (x, j) => fround(fround(keep * x) - fround(gain * newest[j]!)) - fround(gain * fround(correction(j))),
    );
  }

  /** The change of the predictions over step i, as the one before it suggests. */
  const slope = (i: number, j: number): number => fround(fround(originals[1]![j]! - originals[0]![j]!) / ratio(i));

  /** Redoes step i, which led to where the model now predicts `original`. */
  function correct(i: number, { sample, order }: Taken, original: Float32Array): Float32Array {
    const newest = originals[0]!;
    const change = (j: number): number => fround(original[j]! - newest[j]!);
    if (order === 1) return advance(i, sample, (j) => 0.5 * change(j));
    // The two conditions of second order: r^(k-1) a + b = k! phi_(k+1)(hh) / B(hh) for k = 1, 2.
    const hh = -stride(i);
    const growth = Math.expm1(hh);
    const phi2 = growth / hh - 1;
    const phi3 = phi2 / hh - 0.5;
    const [b1, b2] = [phi2 / growth, (2 * phi3) / growth];
    const a = (b1 - b2) / (1 - ratio(i));
    const b = b1 - a;
    return advance(i, sample, (j) => fround(a * slope(i, j)) + fround(b * change(j)));
  }

  return {
    timesteps,
    order: 1,
    sigmas: [...sigmas],
    initNoiseSigma: 1,
    scaleModelInput: (sample) => sample,
    predOriginalSample,
    step: (modelOutput, i, sample) => {
      const original = predOriginalSample(modelOutput, i, sample);
      const corrected = taken ? correct(i - 1, taken, original) : sample;
      originals = [original, ...originals.slice(0, 1)];
      const order = taken && i < timesteps.length - 1 ? 2 : 1;
      taken = { sample: corrected, order };
      return advance(i, corrected, order === 2 ? (j) => 0.5 * slope(i, j) : () => 0);
    },
    addNoise: (original, noise, i) => {
      const { alpha, sigma } = levelAt(levels, i);
      return original.map((x, j) => fround(alpha * x) + fround(sigma * noise[j]!));
    },
  };
}

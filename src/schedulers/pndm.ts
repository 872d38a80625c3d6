/**
 * PNDM (Liu et al. 2022) without its Runge-Kutta warm-up, which A1111 calls PLMS: a linear multistep method over the last four predicted
 * noises, moved along DDIM's curve. The second timestep stands twice in the list: the second call restarts from the first sample with
 * the mean of the first two predictions. Source: diffusers 0.40, PNDMScheduler with skip_prk_steps, as Stable Diffusion 1.5 has it; a
 * config that wants the warm-up is walked without it.
 */
import { addNoise } from './ddpm.ts';
import { noiseScheduleOf, type SchedulerConfig } from './noiseSchedule.ts';
import { spaceWholeTimesteps } from './spacing.ts';
import type { Scheduler } from './types.ts';

const { fround, sqrt } = Math;

/** Weights of the last predictions, the newest first (Adams-Bashforth), by how many there are. */
const WEIGHTS = [[1], [3 / 2, -1 / 2], [23 / 12, -16 / 12, 5 / 12], [55 / 24, -59 / 24, 37 / 24, -9 / 24]] as const;

/** A PNDM scheduler of `numInferenceSteps` steps. Throws InferenceStepsError for a number that the schedule does not have. */
export function createPndmScheduler(config: SchedulerConfig, numInferenceSteps: number): Scheduler {
  // diffusers' PNDMScheduler does not know zero terminal SNR.
  const schedule = noiseScheduleOf({ ...config, rescaleBetasZeroSnr: false });
  const { alphasCumprod, numTrainTimesteps, predictionType } = schedule;
  const { timestepSpacing = 'leading', stepsOffset = 0, setAlphaToOne = false } = config;
  const single = spaceWholeTimesteps(timestepSpacing, numInferenceSteps, numTrainTimesteps, stepsOffset);
  const timesteps = single.flatMap((timestep, i) => (i === 1 ? [timestep, timestep] : [timestep]));
  const stride = Math.floor(numTrainTimesteps / numInferenceSteps);
  const finalAlpha = setAlphaToOne ? 1 : alphasCumprod[0]!;
  const alphaAt = (timestep: number): number => (timestep >= 0 ? alphasCumprod[timestep]! : finalAlpha);

  /** Model outputs, the newest first, at most four; and the first sample, until the second call restarts from it. */
  let outputs: readonly Float32Array[] = [];
  let calls = 0;
  let firstSample: Float32Array | null = null;

  /** The noise that a value of the model's output stands for. */
  function noiseOf(output: number, x: number, signal: number, sigma: number): number {
    switch (predictionType) {
      case 'epsilon':
        return output;
      case 'sample':
        return fround(fround(x - fround(signal * output)) / sigma);
      case 'v_prediction':
        return fround(fround(signal * output) + fround(sigma * x));
    }
  }

  /** DDIM's step in PNDM's form (Liu et al. 2022, equation 11). */
  function transfer(output: Float32Array, from: number, to: number, sample: Float32Array): Float32Array {
    const [alpha, nextAlpha] = [alphaAt(from), alphaAt(to)];
    const [beta, nextBeta] = [fround(1 - alpha), fround(1 - nextAlpha)];
    const [signal, sigma] = [fround(sqrt(alpha)), fround(sqrt(beta))];
    const scale = fround(sqrt(fround(nextAlpha / alpha)));
    const denominator = fround(
      fround(alpha * fround(sqrt(nextBeta))) + fround(sqrt(fround(fround(alpha * beta) * nextAlpha))),
    );
    const difference = fround(nextAlpha - alpha);
    return sample.map((x, j) => {
      const noise = noiseOf(output[j]!, x, signal, sigma);
      return fround(scale * x) - fround(fround(difference * noise) / denominator);
    });
  }

  return {
    timesteps,
    order: 1,
    initNoiseSigma: 1,
    scaleModelInput: (sample) => sample,
    predOriginalSample: (modelOutput, i, sample) => {
      const alpha = alphaAt(timesteps[i]!);
      const [signal, sigma] = [fround(sqrt(alpha)), fround(sqrt(fround(1 - alpha)))];
      return sample.map((x, j) => {
        const noise = noiseOf(modelOutput[j]!, x, signal, sigma);
        return fround(x - fround(sigma * noise)) / signal;
      });
    },
    step: (modelOutput, i, sample) => {
      const timestep = timesteps[i]!;
      if (calls++ === 1 && firstSample) {
        const mean = modelOutput.map((output, j) => fround(output + outputs[0]![j]!) / 2);
        const start = firstSample;
        firstSample = null;
        return transfer(mean, timestep + stride, timestep, start);
      }
      if (calls === 1) firstSample = sample;
      outputs = [modelOutput, ...outputs.slice(0, 3)];
      const weights = WEIGHTS[Math.min(outputs.length, 4) - 1]!;
      const combined = modelOutput.map((_, j) => weights.reduce((sum, weight, k) => sum + weight * outputs[k]![j]!, 0));
      return transfer(combined, timestep, timestep - stride, sample);
    },
    addNoise: (original, noise, i) => addNoise(alphasCumprod, original, noise, [timesteps[i]!]),
  };
}

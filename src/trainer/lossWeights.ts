/** What each example's loss counts, and where it bends: functions of its timestep. */
import type { LossOptions } from '../core/trainOptions.ts';
import { defined } from '../core/invariant.ts';
import type { PredictionType } from '../schedulers/noiseSchedule.ts';

/** The ratio of signal to noise at a timestep: a / (1 - a), infinite where there is no noise. */
export function snr(alphasCumprod: Float32Array, timestep: number): number {
  const a = defined(alphasCumprod[timestep], 'timestep');
  return a / (1 - a);
}

/**
 * Min-SNR weights (Hang et al. 2023, "Efficient Diffusion Training via Min-SNR Weighting Strategy"): min(snr, gamma) / snr for a
 * model that predicts the noise, min(snr, gamma) / (snr + 1) for one that predicts v, as in diffusers' training scripts. Where snr is 0
 * (zero terminal SNR) the first takes its limit, 1.
 */
export function minSnrWeight(ratio: number, gamma: number, predictionType: PredictionType): number {
  return predictionType === 'v_prediction' ? Math.min(ratio, gamma) / (ratio + 1) : Math.min(1, gamma / ratio);
}

/**
 * The Huber loss's delta at a timestep (sd-scripts' library/train_util.py, `get_huber_threshold_if_needed`; Khrapov et al. 2024): constant; falling
 * exponentially from 1 to huberDelta; or falling with the noise, (1 - huberDelta) / (1 + sigma)^2 + huberDelta, sigma^2 = (1 - a) / a.
 */
export function huberDelta(
  { huberDelta: delta, huberSchedule }: LossOptions,
  timestep: number,
  alphasCumprod: Float32Array,
): number {
  switch (huberSchedule) {
    case 'constant':
      return delta;
    case 'exponential':
      return Math.exp((Math.log(delta) * timestep) / alphasCumprod.length);
    case 'snr': {
      const a = defined(alphasCumprod[timestep], 'timestep');
      const sigma = Math.sqrt((1 - a) / a);
      return (1 - delta) / (1 + sigma) ** 2 + delta;
    }
  }
}

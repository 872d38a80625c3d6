/**
 * Exponential moving average of `values` without the usual pull towards zero at the start (bias-corrected, as in Adam).
 * `weight` in [0, 1) is how much of the past is kept. Values that are not finite are skipped.
 */
export function smoothLosses(values: readonly number[], weight = 0.95): number[] {
  let sum = 0;
  let mass = 0;
  return values.map((value) => {
    if (Number.isFinite(value)) {
      sum = weight * sum + (1 - weight) * value;
      mass = weight * mass + (1 - weight);
    }
    return mass === 0 ? NaN : sum / mass;
  });
}

/** Mean squared error of each of `n` examples that lie one after the other, before any weighting: what the per-image record keeps. */
export function exampleLosses(prediction: Float32Array, target: Float32Array, n: number): number[] {
  const size = prediction.length / n;
  return Array.from({ length: n }, (_, i) => {
    let sum = 0;
    for (let j = i * size; j < (i + 1) * size; j++) sum += (prediction[j]! - target[j]!) ** 2;
    return sum / size;
  });
}

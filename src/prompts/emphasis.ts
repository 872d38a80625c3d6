/**
 * Multiplies a chunk's embeddings by its tokens' weights and scales the whole so that its mean is what it was, as A1111 does.
 * `values`: [tokens, width]; `weights`: [tokens]. Weights of 1 leave the values as they are, to the bit.
 */
export function applyWeights(values: Float32Array, weights: Float32Array): Float32Array {
  if (weights.every((weight) => weight === 1)) return values;
  const width = values.length / weights.length;
  const weighted = values.map((value, i) => value * weights[Math.floor(i / width)]!);
  const [before, after] = [mean(values), mean(weighted)];
  // Where all weights are 0 there is no mean to restore.
  return after === 0 ? weighted : weighted.map((value) => value * Math.fround(before / after));
}

function mean(values: Float32Array): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

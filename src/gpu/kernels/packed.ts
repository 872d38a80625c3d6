import { float16ToFloat32, float32ToFloat16 } from '../../core/float16.ts';
import type { Precision } from '../precision.ts';
import { cpuValues, type TensorInfo } from '../runtime.ts';
import { readWeights, type WeightFormat } from '../weightFormat.ts';

/** What a CPU reference sees of frozen weights: the words of an int32 tensor as floats. */
export function cpuWeights(tensor: TensorInfo, format: WeightFormat): Float32Array {
  return readWeights(cpuValues(tensor) as Int32Array, format);
}

const largestHalf = 65504;

/** Factors of a product as its precision has them, for CPU references: see tile_f16.wgsl. */
export function roundFactors(values: ArrayLike<number>, precision: Precision): ArrayLike<number> {
  if (precision === 'f32') return values;
  const within = Float32Array.from(values, (value) => Math.min(largestHalf, Math.max(-largestHalf, value)));
  return float16ToFloat32(float32ToFloat16(within));
}

import { cpuValues, type TensorInfo } from '../runtime.ts';
import { readWeights, type WeightFormat } from '../weightFormat.ts';

/** What a CPU reference sees of frozen weights: the words of an int32 tensor as floats. */
export function cpuWeights(tensor: TensorInfo, format: WeightFormat): Float32Array {
  return readWeights(cpuValues(tensor) as Int32Array, format);
}

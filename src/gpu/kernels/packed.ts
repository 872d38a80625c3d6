import { float16ToFloat32 } from '../../core/float16.ts';
import { cpuValues, type TensorInfo } from '../runtime.ts';

/** What a CPU reference sees of frozen weights: the f16 pairs of an int32 tensor as floats. */
export function cpuWeights(tensor: TensorInfo): Float32Array {
  const pairs = cpuValues(tensor);
  return float16ToFloat32(new Uint16Array(pairs.buffer as ArrayBuffer, pairs.byteOffset, pairs.length * 2));
}

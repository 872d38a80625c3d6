/** What this GPU can do at the best, measured in the same run: multiply-adds in f32 and f16, and bytes copied. */
import { engine } from '@tensorflow/tfjs-core';
import { dispatch, emptyTensor, runtime } from '../../src/gpu/runtime.ts';
import type { DispatchCounts } from '../dispatchCounts.ts';
import { gpuTime } from '../gpuTime.ts';
import { Inputs } from '../kernels/inputs.ts';
import copyShader from './copy.wgsl?raw';
import fmaShader from './fma.wgsl?raw';

export interface Ceilings {
  readonly f32TeraFlops: number;
  /** Null where shaders have no f16. */
  readonly f16TeraFlops: number | null;
  readonly gigabytesPerSecond: number;
}

/** `scale` shrinks the work for software GPUs: 1 takes some milliseconds on a large GPU. */
export async function measureCeilings(counts: DispatchCounts, scale: number): Promise<Ceilings> {
  const { shaderF16 } = runtime();
  return {
    f32TeraFlops: await multiplyAdds(counts, scale, false),
    f16TeraFlops: shaderF16 ? await multiplyAdds(counts, scale, true) : null,
    gigabytesPerSecond: await copy(counts, scale),
  };
}

async function multiplyAdds(counts: DispatchCounts, scale: number, f16: boolean): Promise<number> {
  const workgroups = Math.max(4, Math.round(4096 * scale));
  const rounds = Math.max(64, Math.round(1024 * scale));
  const flop = workgroups * 256 * rounds * 16 * 4 * 2;
  const { ms } = await gpuTime(() => {
    const out = emptyTensor([workgroups * 256]);
    dispatch({
      shader: `alias real = ${f16 ? 'f16' : 'f32'};\n${fmaShader}`,
      label: `ceiling_fma_${f16 ? 'f16' : 'f32'}`,
      constants: { ROUNDS: rounds },
      outputs: [out],
      inputs: [],
      workgroups: [workgroups],
    });
    return [engine().makeTensorFromTensorInfo(out)];
  }, counts);
  return flop / ms / 1e9;
}

async function copy(counts: DispatchCounts, scale: number): Promise<number> {
  const inputs = new Inputs();
  // Larger than any cache.
  const numbers = Math.max(4, Math.round(64 * scale)) * 2 ** 20;
  const x = inputs.float([numbers]);
  try {
    const { ms } = await gpuTime(() => {
      const out = emptyTensor([numbers]);
      dispatch({
        shader: copyShader,
        label: 'ceiling_copy',
        outputs: [out],
        inputs: [x],
        workgroups: [Math.min(numbers / 1024, 16384)],
      });
      return [engine().makeTensorFromTensorInfo(out)];
    }, counts);
    return (numbers * 8) / ms / 1e6;
  } finally {
    inputs.dispose();
  }
}

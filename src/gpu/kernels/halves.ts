/** Activations as packed halves and back, to keep them in half the memory. Not differentiable: it is for what lies between tapes. */
import fromShader from '../../../shaders/from_halves.wgsl?raw';
import toShader from '../../../shaders/to_halves.wgsl?raw';
import { float16ToFloat32, float32ToFloat16 } from '../../core/float16.ts';
import { invariant } from '../../core/invariant.ts';
import { cpuTensor, cpuValues, defineKernel, dispatch, emptyTensor, type Tensor, type TensorInfo } from '../runtime.ts';
import { flatGrid } from './grid.ts';

const largestHalf = 65504;

function sizeOf(shape: readonly number[]): number {
  return shape.reduce((a, b) => a * b, 1);
}

const runTo = defineKernel<{ x: TensorInfo }, object>({
  name: 'ToHalves',
  webgpu: ({ x }) => {
    const quads = sizeOf(x.shape) / 4;
    const halves = emptyTensor([quads * 2], 'int32');
    dispatch({
      shader: toShader,
      label: 'to_halves',
      outputs: [halves],
      inputs: [x],
      uniforms: [quads],
      workgroups: flatGrid(quads, 256),
    });
    return [halves];
  },
  cpu: ({ x }) => {
    const values = Float32Array.from(cpuValues(x), (v) => Math.min(largestHalf, Math.max(-largestHalf, v)));
    return [cpuTensor([values.length / 2], new Int32Array(float32ToFloat16(values).buffer))];
  },
});

const runFrom = defineKernel<{ halves: TensorInfo }, { readonly shape: readonly number[] }>({
  name: 'FromHalves',
  webgpu: ({ halves }, { shape }) => {
    const y = emptyTensor(shape);
    const quads = sizeOf(shape) / 4;
    dispatch({
      shader: fromShader,
      label: 'from_halves',
      outputs: [y],
      inputs: [halves],
      uniforms: [quads],
      workgroups: flatGrid(quads, 256),
    });
    return [y];
  },
  cpu: ({ halves }, { shape }) => {
    const words = cpuValues(halves);
    return [cpuTensor(shape, float16ToFloat32(new Uint16Array(words.buffer, words.byteOffset, words.length * 2)))];
  },
});

/** x, whose size must be a multiple of 4, as the nearest halves; beyond 65504 the largest. An int32 tensor of half the size. */
export function toHalves(x: Tensor): Tensor {
  invariant(x.size % 4 === 0, 'toHalves: the size must be a multiple of 4', { shape: x.shape });
  return runTo({ x }, {})[0]!;
}

/** What {@link toHalves} packed, as float32 of the given shape. */
export function fromHalves(halves: Tensor, shape: readonly number[]): Tensor {
  return runFrom({ halves }, { shape })[0]!;
}

/** Two tensors side by side: tfjs joins them, and one kernel cuts the gradient (tfjs would run a slice for each). */
import { concat } from '@tensorflow/tfjs-core';
import shader from '../../../shaders/split_channels.wgsl?raw';
import { invariant } from '../../core/invariant.ts';
import {
  cpuTensor,
  cpuValues,
  defineKernel,
  differentiable,
  dispatch,
  emptyTensor,
  type Tensor,
  type TensorInfo,
} from '../runtime.ts';
import { flatGrid } from './grid.ts';

const split = defineKernel<{ x: TensorInfo }, { readonly shapes: readonly [readonly number[], readonly number[]] }>({
  name: 'SplitChannels',
  webgpu: ({ x }, { shapes }) => {
    const [a, b] = [emptyTensor(shapes[0]), emptyTensor(shapes[1])];
    const [a4, b4] = [shapes[0].at(-1)! / 4, shapes[1].at(-1)! / 4];
    const pixels = x.shape.slice(0, -1).reduce((product, size) => product * size, 1);
    dispatch({
      shader,
      label: 'split_channels',
      outputs: [a, b],
      inputs: [x],
      uniforms: [pixels, a4, b4],
      workgroups: flatGrid(pixels * (a4 + b4), 256),
    });
    return [a, b];
  },
  cpu: ({ x }, { shapes }) => {
    const values = cpuValues(x);
    const width = x.shape.at(-1)!;
    const first = shapes[0].at(-1)!;
    const part = (wanted: (channel: number) => boolean): Float32Array =>
      Float32Array.from(values).filter((_, i) => wanted(i % width));
    return [
      cpuTensor(
        shapes[0],
        part((c) => c < first),
      ),
      cpuTensor(
        shapes[1],
        part((c) => c >= first),
      ),
    ];
  },
});

/** a [..., A] and b [..., B] as [..., A + B]. A gradient is offered where A and B are multiples of 4. */
export function concatChannels(a: Tensor, b: Tensor): Tensor {
  return differentiable(
    { a, b },
    () => concat([a, b], -1),
    (dy) => {
      const facts = { a: a.shape, b: b.shape };
      invariant(a.shape.at(-1)! % 4 === 0 && b.shape.at(-1)! % 4 === 0, 'concatChannels: multiples of 4', facts);
      const [da, db] = split({ x: dy }, { shapes: [a.shape, b.shape] });
      return { a: () => da!, b: () => db! };
    },
  );
}

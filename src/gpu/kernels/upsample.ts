import shader from '../../../shaders/upsample_nearest.wgsl?raw';
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

const run = defineKernel<{ x: TensorInfo }, { readonly backward: boolean }>({
  name: 'UpsampleNearest2x',
  webgpu: ({ x }, { backward }) => {
    const shape = outputShape(x.shape, backward);
    const [images, height, width, channels] = shape;
    const size = images * height * width * channels;
    const y = emptyTensor(shape);
    dispatch({
      shader,
      label: 'upsample_nearest',
      constants: { BACKWARD: backward },
      outputs: [y],
      inputs: [x],
      uniforms: [size, width, channels],
      workgroups: flatGrid(size, 256),
    });
    return [y];
  },
  cpu: ({ x }, { backward }) => {
    const shape = outputShape(x.shape, backward);
    const [, , width, channels] = backward ? (x.shape as Shape) : shape;
    const values = cpuValues(x);
    const y = new Float32Array(shape.reduce((a, b) => a * b, 1));
    const large = backward ? values.length : y.length;
    for (let i = 0; i < large; i++) {
      const [c, pixel] = [i % channels, Math.floor(i / channels)];
      const [row, column] = [Math.floor(pixel / width), pixel % width];
      const small = (Math.floor(row / 2) * (width / 2) + Math.floor(column / 2)) * channels + c;
      if (backward) y[small]! += values[i]!;
      else y[i] = values[small]!;
    }
    return [cpuTensor(shape, y)];
  },
});

type Shape = [images: number, height: number, width: number, channels: number];

function outputShape(shape: readonly number[], backward: boolean): Shape {
  const [images, height, width, channels] = shape as Shape;
  return backward ? [images, height / 2, width / 2, channels] : [images, height * 2, width * 2, channels];
}

/** [N, H, W, C] -> [N, 2H, 2W, C], each pixel four times: torch's `interpolate(scale_factor=2, mode='nearest')`. */
export function upsampleNearest2x(x: Tensor): Tensor {
  invariant(x.rank === 4, 'upsampleNearest2x: x must be [N, H, W, C]', { shape: x.shape });
  return differentiable(
    { x },
    () => run({ x }, { backward: false })[0]!,
    (dy) => ({ x: () => run({ x: dy }, { backward: true })[0]! }),
  );
}

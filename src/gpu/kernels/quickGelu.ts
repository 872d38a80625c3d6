import shader from '../../../shaders/quick_gelu.wgsl?raw';
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
import { invariant } from '../../core/invariant.ts';

const run = defineKernel<{ x: TensorInfo; dy?: TensorInfo | null }, object>({
  name: 'QuickGelu',
  webgpu: ({ x, dy = null }) => {
    const size = x.shape.reduce((a, b) => a * b, 1);
    invariant(size % 4 === 0, 'quickGelu: the size must be a multiple of 4', { shape: x.shape });
    const y = emptyTensor(x.shape);
    dispatch({
      shader,
      label: 'quick_gelu',
      constants: { BACKWARD: dy !== null },
      outputs: [y],
      inputs: [x, dy],
      uniforms: [size / 4],
      workgroups: flatGrid(size / 4, 256),
    });
    return [y];
  },
  cpu: ({ x, dy }) => {
    const upstream = dy ? cpuValues(dy) : null;
    const y = Float32Array.from(cpuValues(x), (v, i) => {
      const s = 1 / (1 + Math.exp(-1.702 * v));
      return upstream ? upstream[i]! * (s + 1.702 * v * s * (1 - s)) : v * s;
    });
    return [cpuTensor(x.shape, y)];
  },
});

/** x * sigmoid(1.702 x), of any shape whose size is a multiple of 4: CLIP's activation (Hendrycks & Gimpel 2016, eq. 2). */
export function quickGelu(x: Tensor): Tensor {
  return differentiable(
    { x },
    (save) => {
      save([x]);
      return run({ x }, {})[0]!;
    },
    (dy, [saved]) => ({ x: () => run({ x: saved!, dy }, {})[0]! }),
  );
}

import shader from '../../../shaders/swish.wgsl?raw';
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

interface Attrs {
  /** y = x * sigmoid(slope * x). */
  readonly slope: number;
}

const run = defineKernel<{ x: TensorInfo; dy?: TensorInfo | null }, Attrs>({
  name: 'Swish',
  webgpu: ({ x, dy = null }, { slope }) => {
    const size = x.shape.reduce((a, b) => a * b, 1);
    invariant(size % 4 === 0, 'swish: the size must be a multiple of 4', { shape: x.shape });
    const y = emptyTensor(x.shape);
    dispatch({
      shader,
      label: 'swish',
      constants: { BACKWARD: dy !== null },
      outputs: [y],
      inputs: [x, dy],
      uniforms: [size / 4, { f32: slope }],
      workgroups: flatGrid(size / 4, 256),
    });
    return [y];
  },
  cpu: ({ x, dy }, { slope }) => {
    const upstream = dy ? cpuValues(dy) : null;
    const y = Float32Array.from(cpuValues(x), (v, i) => {
      const s = 1 / (1 + Math.exp(-slope * v));
      return upstream ? upstream[i]! * (s + slope * v * s * (1 - s)) : v * s;
    });
    return [cpuTensor(x.shape, y)];
  },
});

function swish(x: Tensor, slope: number): Tensor {
  return differentiable(
    { x },
    (save) => {
      save([x]);
      return run({ x }, { slope })[0]!;
    },
    (dy, [saved]) => ({ x: () => run({ x: saved!, dy }, { slope })[0]! }),
  );
}

/** x * sigmoid(x), of any shape whose size is a multiple of 4 (Elfwing et al. 2018): the UNet's and the VAE's activation. */
export function silu(x: Tensor): Tensor {
  return swish(x, 1);
}

/** x * sigmoid(1.702 x), of any shape whose size is a multiple of 4 (Hendrycks & Gimpel 2016, eq. 2): CLIP's activation. */
export function quickGelu(x: Tensor): Tensor {
  return swish(x, 1.702);
}

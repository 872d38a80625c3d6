import shader from '../../../shaders/gradient_norm.wgsl?raw';
import {
  cpuValues,
  defineKernel,
  dispatch,
  emptyTensor,
  releaseTensor,
  type Tensor,
  type TensorInfo,
} from '../runtime.ts';
import type { StepReport } from './parameterPage.ts';

/** Values that one workgroup of the first stage adds. */
const chunk = 4096;

/** Pages are few; a kernel's inputs need names. */
type Inputs = Readonly<Record<string, TensorInfo>>;

interface Attributes {
  readonly pages: number;
  readonly losses: number;
  readonly maxNorm: number;
  readonly scale: number;
}

const run = defineKernel<Inputs, Attributes>({
  name: 'GradientNorm',
  webgpu: (inputs, { pages, losses, maxNorm, scale }) => {
    const gradients = Array.from({ length: pages }, (_, i) => inputs[`page${i}`]!);
    const sizes = gradients.map(({ shape }) => shape[0]!);
    const chunks = sizes.map((size) => Math.ceil(size / chunk));
    const total = chunks.reduce((a, b) => a + b, 0);
    const sums = emptyTensor([total]);
    const label = 'gradient_norm';
    let offset = 0;
    gradients.forEach((gradient, i) => {
      dispatch({
        shader,
        label,
        constants: { FINISH: false },
        outputs: [sums],
        inputs: [gradient],
        uniforms: [sizes[i]!, chunk, offset, 0, { f32: 0 }, { f32: 1 }],
        workgroups: [chunks[i]!],
      });
      offset += chunks[i]!;
    });
    dispatch({
      shader,
      label,
      constants: { FINISH: true },
      outputs: [inputs['report']!],
      inputs: [sums],
      uniforms: [total, total, 0, losses, { f32: maxNorm }, { f32: 1 / scale }],
      workgroups: [1],
    });
    releaseTensor(sums);
    return [];
  },
  cpu: (inputs, { pages, losses, maxNorm, scale }) => {
    const report = cpuValues(inputs['report']!);
    let sum = 0;
    for (let i = 0; i < pages; i++) for (const value of cpuValues(inputs[`page${i}`]!)) sum += value * value;
    // In float32 the sum overflows where the GPU's does.
    const norm = Math.fround(Math.sqrt(Math.fround(sum))) / scale;
    const finite = [norm, ...report.subarray(2, 2 + losses)].every(Number.isFinite);
    report[0] = finite ? (maxNorm > 0 ? Math.min(1, maxNorm / (norm + 1e-6)) : 1) / scale : 0;
    report[1] = norm;
    return [];
  },
});

/**
 * Writes into `report`, whose losses stand there already: the Euclidean norm of all `gradients` together, and what the optimizer
 * is to multiply them by: min(1, maxNorm / (norm + 1e-6)) as torch.nn.utils.clip_grad_norm_ does, 1 if `maxNorm` is 0, and 0,
 * which means that the step must not be applied, if the norm or a loss is not finite. Nothing is read back.
 *
 * `scale`: a power of two by which the gradients were multiplied (loss scaling); the norm and the factor are without it.
 */
export function gradientNorm(gradients: readonly Tensor[], report: StepReport, maxNorm: number, scale = 1): void {
  const pages = Object.fromEntries(gradients.map((gradient, i) => [`page${i}`, gradient]));
  run({ ...pages, report }, { pages: gradients.length, losses: report.size - 2, maxNorm, scale });
}

import shader from '../../../shaders/diffusion_loss.wgsl?raw';
import type { LossKind } from '../../core/trainOptions.ts';
import { invariant } from '../../core/invariant.ts';
import {
  cpuTensor,
  cpuValues,
  defineKernel,
  differentiable,
  dispatch,
  emptyTensor,
  releaseTensor,
  type Tensor,
  type TensorInfo,
} from '../runtime.ts';

/** Values that one workgroup of the first stage adds. */
const chunk = 4096;

/** KIND in the shader. */
const kinds: Readonly<Record<LossKind, number>> = { l2: 0, huber: 1, smoothL1: 2 };

type Inputs = Readonly<Record<'prediction' | 'target', TensorInfo>> &
  Readonly<Partial<Record<'deltas' | 'mask' | 'dy', TensorInfo | null>>>;

interface Attrs {
  readonly kind: LossKind;
}

interface Sizes {
  readonly examples: number;
  /** Values of one example. */
  readonly size: number;
  readonly channels: number;
}

function sizesOf({ shape }: TensorInfo): Sizes {
  const [examples = 1, ...rest] = shape;
  return { examples, size: rest.reduce((a, b) => a * b, 1), channels: shape.at(-1) ?? 1 };
}

const runForward = defineKernel<Inputs, Attrs>({
  name: 'DiffusionLoss',
  webgpu: ({ prediction, target, deltas = null, mask = null }, { kind }) => {
    const { examples, size, channels } = sizesOf(prediction);
    const chunks = Math.ceil(size / chunk);
    const sums = emptyTensor([examples, chunks]);
    const constants = { KIND: kinds[kind], MASKED: mask !== null, BACKWARD: false };
    const label = 'diffusion_loss';
    dispatch({
      shader,
      label,
      constants: { ...constants, FINISH: false },
      outputs: [sums],
      inputs: [prediction, target, null, deltas, mask],
      uniforms: [size, chunk, channels, { f32: 1 }],
      workgroups: [chunks, examples],
    });
    const y = emptyTensor([examples]);
    dispatch({
      shader,
      label,
      constants: { ...constants, MASKED: false, FINISH: true },
      outputs: [y],
      inputs: [sums, null, null, null, null],
      uniforms: [chunks, chunks, 1, { f32: 1 / size }],
      workgroups: [1, examples],
    });
    releaseTensor(sums);
    return [y];
  },
  cpu: ({ prediction, target, deltas, mask }, { kind }) => {
    const { examples, size, channels } = sizesOf(prediction);
    const [values, goals] = [cpuValues(prediction), cpuValues(target)];
    const [corners, weights] = [deltas ? cpuValues(deltas) : null, mask ? cpuValues(mask) : null];
    const y = new Float32Array(examples);
    for (let n = 0; n < examples; n++) {
      let sum = 0;
      for (let i = n * size; i < (n + 1) * size; i++) {
        const weight = weights ? weights[Math.floor(i / channels)]! : 1;
        sum += lossOf(kind, values[i]! - goals[i]!, corners?.[n] ?? 0) * weight;
      }
      y[n] = sum / size;
    }
    return [cpuTensor([examples], y)];
  },
});

const runBackward = defineKernel<Inputs, Attrs>({
  name: 'DiffusionLossBackward',
  webgpu: ({ prediction, target, deltas = null, mask = null, dy = null }, { kind }) => {
    const { examples, size, channels } = sizesOf(prediction);
    const dx = emptyTensor(prediction.shape);
    dispatch({
      shader,
      label: 'diffusion_loss',
      constants: { KIND: kinds[kind], MASKED: mask !== null, BACKWARD: true, FINISH: false },
      outputs: [dx],
      inputs: [prediction, target, dy, deltas, mask],
      uniforms: [size, chunk, channels, { f32: 1 / size }],
      workgroups: [Math.ceil(size / 256), examples],
    });
    return [dx];
  },
  cpu: ({ prediction, target, deltas, mask, dy }, { kind }) => {
    const { size, channels } = sizesOf(prediction);
    const goals = cpuValues(target);
    const [corners, weights] = [deltas ? cpuValues(deltas) : null, mask ? cpuValues(mask) : null];
    const upstream = dy ? cpuValues(dy) : [];
    const dx = Float32Array.from(cpuValues(prediction), (value, i) => {
      const example = Math.floor(i / size);
      const slope = slopeOf(kind, value - goals[i]!, corners?.[example] ?? 0);
      return (slope * (weights ? weights[Math.floor(i / channels)]! : 1) * upstream[example]!) / size;
    });
    return [cpuTensor(prediction.shape, dx)];
  },
});

function lossOf(kind: LossKind, error: number, delta: number): number {
  const corner = Math.sqrt(error ** 2 + delta ** 2) - delta;
  return kind === 'l2' ? error ** 2 : (kind === 'huber' ? 2 * delta : 2) * corner;
}

function slopeOf(kind: LossKind, error: number, delta: number): number {
  if (kind === 'l2') return 2 * error;
  return ((kind === 'huber' ? 2 * delta : 2) * error) / Math.sqrt(error ** 2 + delta ** 2);
}

export interface DiffusionLossInputs {
  /** [N, h, w, c]. */
  readonly prediction: Tensor;
  /** As the prediction. */
  readonly target: Tensor;
  /** [N], above 0: where the squared error turns into the absolute one. Of `huber` and `smoothL1` only. */
  readonly deltas?: Tensor | null;
  /** [N, h, w]: what each pixel's loss counts. */
  readonly mask?: Tensor | null;
}

/**
 * The loss of each example, [N]: the mean over its values of the squared error, of the pseudo-Huber loss or of its cousin that
 * sd-scripts calls smooth L1 (library/train_util.py, `conditional_loss`), where there is a mask times it. The gradient goes to the prediction only.
 * Summed in an order that depends on nothing but the sizes, so equal inputs give equal bits.
 */
export function diffusionLoss(
  kind: LossKind,
  { prediction, target, deltas = null, mask = null }: DiffusionLossInputs,
): Tensor {
  const facts = { prediction: prediction.shape, target: target.shape, deltas: deltas?.shape, mask: mask?.shape };
  const [examples = 0, ...rest] = prediction.shape;
  const channels = rest.at(-1) ?? 1;
  const fits =
    prediction.shape.join() === target.shape.join() &&
    (kind === 'l2' || deltas?.size === examples) &&
    (mask === null || mask.size * channels === prediction.size);
  invariant(fits, 'diffusionLoss: the shapes do not belong together', facts);
  // What is not differentiated travels by closure, except that `save` keeps it alive for the gradient.
  const others = [deltas, mask].filter((t) => t !== null);
  return differentiable(
    { prediction },
    (save) => {
      save([prediction, target, ...others]);
      return runForward({ prediction, target, deltas: kind === 'l2' ? null : deltas, mask }, { kind })[0]!;
    },
    (dy, [savedPrediction, savedTarget, ...savedOthers]) => ({
      prediction: () =>
        runBackward(
          {
            prediction: savedPrediction!,
            target: savedTarget!,
            deltas: kind === 'l2' || !deltas ? null : savedOthers[0]!,
            mask: mask ? savedOthers.at(-1)! : null,
            dy,
          },
          { kind },
        )[0]!,
    }),
  );
}

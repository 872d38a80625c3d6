/**
 * The linear layer with all that may hang on it, in one dispatch: y = x Wᵀ + bias + residual + LoRA branch. W is frozen, so
 * gradients go to x, the residual and the branch only.
 */
import backwardShader from '../../../shaders/linear_backward.wgsl?raw';
import forwardShader from '../../../shaders/linear.wgsl?raw';
import { invariant } from '../../core/invariant.ts';
import { cpuTensor, cpuValues, defineKernel, differentiable, type Tensor, type TensorInfo } from '../runtime.ts';
import { precisionOfProducts, type Precision } from '../precision.ts';
import { weightWords, type WeightFormat } from '../weightFormat.ts';
import { loraDown, loraDownGradient, loraGradients, type LoraBranch, type LoraSizes } from './loraBranch.ts';
import { cpuWeights, roundFactors } from './packed.ts';
import { depthSplits, splitProduct, type Epilogue } from './splitDepth.ts';
import { dispatchProduct } from './tile.ts';

export interface LinearWeights {
  /** Words of `format`, logically [outFeatures, inFeatures], row-major: torch's layout. */
  readonly weight: Tensor;
  /** f16 if not given. */
  readonly format?: WeightFormat;
  /** float32 [outFeatures]. */
  readonly bias: Tensor | null;
  readonly inFeatures: number;
  readonly outFeatures: number;
}

type Attributes = LoraSizes & { readonly format: WeightFormat; readonly precision: Precision };

type ForwardInputs = {
  readonly x: TensorInfo;
  readonly weight: TensorInfo;
  readonly bias?: TensorInfo | null;
  readonly residual?: TensorInfo | null;
  readonly t?: TensorInfo | null;
  readonly b?: TensorInfo | null;
};

const runForward = defineKernel<ForwardInputs, Attributes>({
  name: 'Linear',
  webgpu: (
    { x, weight, bias = null, residual = null, t = null, b = null },
    { rows, inFeatures, outFeatures, groups, rank, format, precision },
  ) => {
    const splits = depthSplits({ rows, columns: outFeatures, depth: inFeatures });
    const multiply = (output: TensorInfo, { bias: ownBias, residual: ownResidual }: Required<Epilogue>): void =>
      dispatchProduct({
        shader: forwardShader,
        label: 'linear',
        weights: format,
        outputs: [output],
        inputs: [x, weight, ownBias, ownResidual, t, b],
        uniforms: [
          rows,
          outFeatures,
          inFeatures,
          groups,
          rank,
          Number(ownBias !== null),
          Number(ownResidual !== null),
          splits,
        ],
        rows,
        columns: outFeatures,
        count: splits,
        precision,
        flop: 2 * rows * outFeatures * (inFeatures + rank),
      });
    return [splitProduct([...x.shape.slice(0, -1), outFeatures], splits, { bias, residual }, multiply)];
  },
  cpu: ({ x, weight, bias, residual, t, b }, { rows, inFeatures, outFeatures, groups, rank, format, precision }) => {
    const [biases, residuals, ...branch] = [bias, residual, t, b].map((tensor) => (tensor ? cpuValues(tensor) : null));
    const [ts, bs] = branch.map((factor) => (factor ? roundFactors(factor, precision) : null));
    const xs = roundFactors(cpuValues(x), precision);
    const ws = roundFactors(cpuWeights(weight, format), precision);
    const y = new Float32Array(rows * outFeatures);
    for (let m = 0; m < rows; m++) {
      for (let n = 0; n < outFeatures; n++) {
        let sum = (biases?.[n] ?? 0) + (residuals?.[m * outFeatures + n] ?? 0);
        for (let k = 0; k < inFeatures; k++) sum += xs[m * inFeatures + k]! * ws[n * inFeatures + k]!;
        if (ts && bs) {
          const group = Math.floor((n * groups) / outFeatures);
          for (let r = 0; r < rank; r++) sum += ts[(m * groups + group) * rank + r]! * bs[n * rank + r]!;
        }
        y[m * outFeatures + n] = sum;
      }
    }
    return [cpuTensor([...x.shape.slice(0, -1), outFeatures], y)];
  },
});

type BackwardInputs = {
  readonly dy: TensorInfo;
  readonly weight: TensorInfo;
  readonly dt?: TensorInfo | null;
  readonly a?: TensorInfo | null;
};

const runBackward = defineKernel<BackwardInputs, Attributes>({
  name: 'LinearBackward',
  webgpu: ({ dy, weight, dt = null, a = null }, { rows, inFeatures, outFeatures, groups, rank, format, precision }) => {
    const splits = depthSplits({ rows, columns: inFeatures, depth: outFeatures });
    const multiply = (output: TensorInfo): void =>
      dispatchProduct({
        shader: backwardShader,
        label: 'linear_backward',
        weights: format,
        outputs: [output],
        inputs: [dy, weight, dt, a],
        uniforms: [rows, outFeatures, inFeatures, groups * rank, splits],
        rows,
        columns: inFeatures,
        count: splits,
        precision,
        flop: 2 * rows * inFeatures * (outFeatures + groups * rank),
      });
    return [splitProduct([...dy.shape.slice(0, -1), inFeatures], splits, {}, multiply)];
  },
  cpu: ({ dy, weight, dt, a }, { rows, inFeatures, outFeatures, groups, rank, format, precision }) => {
    const dys = roundFactors(cpuValues(dy), precision);
    const ws = roundFactors(cpuWeights(weight, format), precision);
    const [dts, as] = [dt, a].map((tensor) => (tensor ? roundFactors(cpuValues(tensor), precision) : null));
    const ranks = groups * rank;
    const dx = new Float32Array(rows * inFeatures);
    for (let m = 0; m < rows; m++) {
      for (let k = 0; k < inFeatures; k++) {
        let sum = 0;
        for (let n = 0; n < outFeatures; n++) sum += dys[m * outFeatures + n]! * ws[n * inFeatures + k]!;
        if (dts && as) for (let r = 0; r < ranks; r++) sum += dts[m * ranks + r]! * as[r * inFeatures + k]!;
        dx[m * inFeatures + k] = sum;
      }
    }
    return [cpuTensor([...dy.shape.slice(0, -1), inFeatures], dx)];
  },
});

/**
 * y = x Wᵀ + bias + residual + scale (x Aᵀ) Bᵀ, the last by group of columns (LoRA, Hu et al. 2021, eq. 3).
 *
 * x: [..., inFeatures]; the result and `residual`: [..., outFeatures]. Both feature counts must be multiples of 4, and so must
 * the columns of a group. Any rank >= 1.
 */
export function linear(
  x: Tensor,
  weights: LinearWeights,
  options: { readonly residual?: Tensor; readonly lora?: LoraBranch } = {},
): Tensor {
  const { weight, format = 'f16', bias, inFeatures, outFeatures } = weights;
  const { residual, lora } = options;
  const groups = lora?.groups ?? 1;
  const rank = lora?.b.shape[1] ?? 0;
  const rows = x.size / inFeatures;
  const sampleRows = rows / x.shape[0];
  const precision = precisionOfProducts();
  const sizes: Attributes = { rows, sampleRows, inFeatures, outFeatures, groups, rank, format, precision };
  check(x, weights, sizes, residual, lora);
  // The backward pass repeats these draws, even if the branch has none by then.
  const dropout = lora?.dropout ?? null;
  return differentiable<Record<string, Tensor>>(
    { x, ...(residual ? { residual } : {}), ...(lora ? { a: lora.a, b: lora.b } : {}) },
    (save) => {
      const t = lora ? loraDown(x, lora, sizes) : null;
      save(lora && t ? [weight, x, t, lora.a, lora.b, lora.scale, ...(dropout ? [dropout.key] : [])] : [weight]);
      return runForward({ x, weight, bias, residual: residual ?? null, t, b: lora?.b ?? null }, sizes)[0]!;
    },
    (dy, [savedWeight, savedX, t, a, b, scale, key]) => {
      // Shared by the gradients of x and A, which is made together with that of B.
      const dt =
        b && scale
          ? loraDownGradient(dy, { b, scale, dropout: dropout && key ? { ...dropout, key } : null }, sizes)
          : null;
      const gradients = dt && t ? loraGradients({ dy, t, x: savedX!, dt }, sizes) : null;
      return {
        x: () => runBackward({ dy, weight: savedWeight!, dt, a: a ?? null }, sizes)[0]!,
        residual: () => dy,
        a: () => gradients!.a,
        b: () => gradients!.b,
      };
    },
  );
}

function check(
  x: Tensor,
  { weight, inFeatures, outFeatures }: LinearWeights,
  sizes: Attributes,
  residual?: Tensor,
  lora?: LoraBranch,
): void {
  invariant(inFeatures % 4 === 0 && outFeatures % 4 === 0, 'linear: feature counts must be multiples of 4', {
    inFeatures,
    outFeatures,
  });
  invariant(x.shape.at(-1) === inFeatures, 'linear: the last axis of x must be inFeatures', {
    shape: x.shape,
    inFeatures,
  });
  invariant(
    weight.size === weightWords(inFeatures * outFeatures, sizes.format),
    'linear: the weight has another size',
    {
      weight: weight.shape,
      inFeatures,
      outFeatures,
    },
  );
  if (residual) {
    const shape = [...x.shape.slice(0, -1), outFeatures];
    invariant(residual.shape.join() === shape.join(), 'linear: the residual must have the shape of the output', {
      residual: residual.shape,
      shape,
    });
  }
  if (lora) {
    const { groups, rank } = sizes;
    const facts = { a: lora.a.shape, b: lora.b.shape, scale: lora.scale.shape, groups, inFeatures, outFeatures };
    invariant(outFeatures % (4 * groups) === 0, 'linear: the columns of a LoRA group must be a multiple of 4', facts);
    invariant(
      lora.a.shape.join() === `${groups * rank},${inFeatures}` &&
        lora.b.shape[0] === outFeatures &&
        lora.scale.size === groups * rank &&
        rank >= 1,
      'linear: the LoRA branch does not fit the layer',
      facts,
    );
  }
}

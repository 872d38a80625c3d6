/**
 * DoRA (Liu et al. 2024, "Weight-Decomposed Low-Rank Adaptation"): the rows of W + scale B A are brought to trained magnitudes,
 * y = (W + scale B A) x * magnitude / |W + scale B A| + bias. As in PEFT the norm counts as a constant in the backward pass (section 4.3 of
 * the paper) and is computed without dropout.
 */
import { div, mul, reshape } from '@tensorflow/tfjs-core';
import columnScaleShader from '../../../shaders/column_scale.wgsl?raw';
import normShader from '../../../shaders/dora_norm.wgsl?raw';
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
import { loraDown, type LoraBranch } from './loraBranch.ts';
import { sumRows } from './sumRows.ts';

/** What DoRA trains besides a branch, one an output. */
export interface LoraMagnitude {
  /** float32 [outFeatures]: the norms that the rows of the weights shall have. */
  readonly vector: Tensor;
  /** float32 [outFeatures]: the squared norms of the frozen weights' rows. */
  readonly squares: Tensor;
}

interface NormSizes {
  readonly columns: number;
  readonly groups: number;
  readonly rank: number;
}

type NormInputs = Readonly<Record<'squares' | 'products' | 'gram' | 'b' | 'scale', TensorInfo>>;

const runNorm = defineKernel<NormInputs, NormSizes>({
  name: 'DoraNorm',
  webgpu: ({ squares, products, gram, b, scale }, { columns, groups, rank }) => {
    const norm = emptyTensor([columns]);
    dispatch({
      shader: normShader,
      label: 'dora_norm',
      outputs: [norm],
      inputs: [squares, products, gram, b, scale],
      uniforms: [columns, groups, rank],
      workgroups: [Math.ceil(columns / 64)],
    });
    return [norm];
  },
  cpu: (inputs, { columns, groups, rank }) => {
    const values = (name: keyof NormInputs): Float32Array | Int32Array => cpuValues(inputs[name]);
    const [squares, products, gram] = [values('squares'), values('products'), values('gram')];
    const [b, scale] = [values('b'), values('scale')];
    const norm = Float32Array.from(squares, (square, column) => {
      const first = Math.floor(column / (columns / groups)) * rank;
      let sum = square;
      for (let r = 0; r < rank; r++) {
        let part = 2 * products[(first + r) * columns + column]!;
        for (let s = 0; s < rank; s++) part += b[column * rank + s]! * gram[(first + r) * groups * rank + first + s]!;
        sum += b[column * rank + r]! * scale[first + r]! * part;
      }
      return Math.sqrt(Math.max(sum, 2 ** -100));
    });
    return [cpuTensor([columns], norm)];
  },
});

type ScaleInputs = {
  readonly x: TensorInfo;
  readonly magnitude: TensorInfo;
  readonly norm: TensorInfo;
  readonly bias?: TensorInfo | null;
  readonly time?: TensorInfo | null;
  readonly residual?: TensorInfo | null;
};

const runScale = defineKernel<ScaleInputs, { readonly columns: number; readonly imageRows: number }>({
  name: 'ColumnScale',
  webgpu: ({ x, magnitude, norm, bias = null, time = null, residual = null }, { columns, imageRows }) => {
    const y = emptyTensor(x.shape);
    const size = x.shape.reduce((a, b) => a * b, 1);
    dispatch({
      shader: columnScaleShader,
      label: 'column_scale',
      outputs: [y],
      inputs: [x, magnitude, norm, bias, time, residual],
      uniforms: [
        size / columns,
        columns / 4,
        imageRows,
        ...[bias, time, residual].map((tensor) => Number(tensor !== null)),
      ],
      workgroups: flatGrid(size / 4, 64),
    });
    return [y];
  },
  cpu: ({ x, magnitude, norm, bias, time, residual }, { columns, imageRows }) => {
    const [magnitudes, norms] = [cpuValues(magnitude), cpuValues(norm)];
    const [biases, times, residuals] = [bias, time, residual].map((tensor) => (tensor ? cpuValues(tensor) : null));
    const y = Float32Array.from(cpuValues(x), (value, i) => {
      const c = i % columns;
      const image = Math.floor(Math.floor(i / columns) / imageRows);
      return (
        (value * magnitudes[c]!) / norms[c]! +
        (biases?.[c] ?? 0) +
        (times?.[image * columns + c] ?? 0) +
        (residuals?.[i] ?? 0)
      );
    });
    return [cpuTensor(x.shape, y)];
  },
});

/** |W + scale B A| for each output, for products = A Wᵀ [groups * rank, outFeatures]. Not differentiable. */
export function doraNorm(branch: LoraBranch, { squares }: LoraMagnitude, products: Tensor): Tensor {
  const { a, b, scale, groups } = branch;
  const [ranks, inFeatures] = a.shape as [number, number];
  const [columns, rank] = b.shape as [number, number];
  const sizes = { rows: ranks, sampleRows: ranks, inFeatures, outFeatures: columns, groups, rank };
  const gram = loraDown(a, { a, b, scale, groups }, sizes);
  return runNorm({ squares, products, gram, b, scale }, { columns, groups, rank })[0]!;
}

/**
 * x * magnitude / norm + bias + timeEmbedding + residual: x [N, ..., columns], magnitude, norm and bias [columns], timeEmbedding
 * [N, columns], columns a multiple of 4. `norm` is called within, so that nothing flows back through it.
 */
export function scaleColumns(
  x: Tensor,
  { magnitude, norm }: { readonly magnitude: Tensor; readonly norm: () => Tensor },
  {
    bias = null,
    timeEmbedding,
    residual,
  }: {
    readonly bias?: Tensor | null;
    readonly timeEmbedding?: Tensor | undefined;
    readonly residual?: Tensor | undefined;
  } = {},
): Tensor {
  const columns = x.shape.at(-1)!;
  const rows = x.size / columns;
  const images = x.shape[0];
  const attrs = { columns, imageRows: rows / images };
  return differentiable<Record<string, Tensor>>(
    { x, magnitude, ...(timeEmbedding ? { time: timeEmbedding } : {}), ...(residual ? { residual } : {}) },
    (save) => {
      const norms = norm();
      save([x, magnitude, norms]);
      const added = { bias, time: timeEmbedding ?? null, residual: residual ?? null };
      return runScale({ x, magnitude, norm: norms, ...added }, attrs)[0]!;
    },
    (dy, [savedX, savedMagnitude, norms]) => ({
      x: () => runScale({ x: dy, magnitude: savedMagnitude!, norm: norms! }, attrs)[0]!,
      magnitude: () => div(reshape(sumRows(mul(dy, savedX!), [1, rows, columns]), [columns]), norms!),
      time: () => sumRows(dy, [images, rows / images, columns]),
      residual: () => dy,
    }),
  );
}

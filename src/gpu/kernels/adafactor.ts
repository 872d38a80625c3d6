/**
 * Adafactor (Shazeer & Stern 2018, "Adaptive Learning Rates with Sublinear Memory Cost") as transformers' `Adafactor` does it: second
 * moments by row and column only, updates held to a root mean square of 1. Vectors are matrices of one column, for which
 * the factors multiply to the unfactored moment.
 */
import applyShader from '../../../shaders/adafactor_apply.wgsl?raw';
import linesShader from '../../../shaders/adafactor_lines.wgsl?raw';
import matricesShader from '../../../shaders/adafactor_matrices.wgsl?raw';
import { tensor } from '@tensorflow/tfjs-core';
import { cpuValues, defineKernel, dispatch, type Tensor, type TensorInfo } from '../runtime.ts';
import { flatGrid } from './grid.ts';
import { pageBlock, type ParameterPage, type StepReport } from './parameterPage.ts';

/** transformers' `decay_rate`, and the least that the parameter's root mean square counts (`eps[1]`). */
const decayRate = -0.8;
const leastScale = 1e-3;

export interface AdafactorStep {
  readonly learningRate: number;
  /** 0: no momentum. */
  readonly beta1: number;
  /** Added to the gradients' squares (`eps[0]`). */
  readonly epsilon: number;
  readonly weightDecay: number;
  /** Multiplies the rate by the parameter's root mean square. */
  readonly scaleParameter: boolean;
  /** min(0.01, 1 / sqrt(step)) in place of the learning rate. */
  readonly relativeStep: boolean;
  /** 1 for the first step. */
  readonly step: number;
}

/** A parameter in a page: `offset` is the first of its values. */
export interface PageMatrix {
  readonly offset: number;
  readonly rows: number;
  readonly columns: number;
  /** What the learning rate is multiplied by. */
  readonly factor: number;
}

export interface AdafactorState {
  /** The running means: for each matrix those of its rows, then of its columns. */
  readonly means: Tensor;
  /** [size], or one value that nobody reads without momentum. */
  readonly momentum: Tensor;
  readonly lines: Tensor;
  readonly table: Tensor;
  readonly matrices: number;
}

/** Integers of a matrix in the table. */
const entry = 6;

export function createAdafactorState(
  { values }: ParameterPage,
  matrices: readonly PageMatrix[],
  { beta1 }: Pick<AdafactorStep, 'beta1'>,
): AdafactorState {
  const lines: number[] = [];
  const table = new Int32Array(matrices.length * entry + values.size / pageBlock);
  const factors = new Float32Array(table.buffer);
  matrices.forEach(({ offset, rows, columns, factor }, m) => {
    table.set([offset, rows, columns, lines.length / 4], m * entry);
    factors[m * entry + 4] = factor;
    for (let row = 0; row < rows; row++) lines.push(offset + row * columns, columns, 1, 0);
    for (let column = 0; column < columns; column++) lines.push(offset + column, rows, columns, 0);
    const blocks = Math.ceil((rows * columns) / pageBlock);
    table.fill(m, matrices.length * entry + offset / pageBlock, matrices.length * entry + offset / pageBlock + blocks);
  });
  return {
    means: tensor(new Float32Array(lines.length / 4)),
    momentum: tensor(new Float32Array(beta1 > 0 ? values.size : 1)),
    lines: tensor(Int32Array.from(lines), [lines.length], 'int32'),
    table: tensor(table, [table.length], 'int32'),
    matrices: matrices.length,
  };
}

/** In the order of the shaders' struct Hyper. */
function hyperParameters(options: AdafactorStep): Float32Array {
  const { learningRate, beta1, epsilon, weightDecay, scaleParameter, relativeStep, step } = options;
  const beta2 = 1 - step ** decayRate;
  return Float32Array.of(
    relativeStep ? Math.min(1e-2, 1 / Math.sqrt(step)) : learningRate,
    beta1,
    beta2,
    1 - beta2,
    epsilon,
    scaleParameter ? leastScale : 0,
    weightDecay,
  );
}

type Hyper = readonly [
  rate: number,
  beta1: number,
  beta2: number,
  oneMinusBeta2: number,
  epsilon: number,
  leastScale: number,
  decay: number,
];

const hyperOf = (info: TensorInfo): Hyper => cpuValues(info) as unknown as Hyper;

const runLines = defineKernel<
  Readonly<Record<'means' | 'gradients' | 'lines' | 'report' | 'hyper', TensorInfo>>,
  { readonly count: number }
>({
  name: 'AdafactorLines',
  webgpu: ({ means, gradients, lines, report, hyper }, { count }) => {
    dispatch({
      shader: linesShader,
      label: 'adafactor_lines',
      outputs: [means],
      inputs: [gradients, lines, report, hyper],
      uniforms: [count],
      workgroups: flatGrid(count, 1),
    });
    return [];
  },
  cpu: (inputs, { count: lineCount }) => {
    const [means, gradients, lines] = [inputs.means, inputs.gradients, inputs.lines].map(cpuValues);
    const [, , beta2, oneMinusBeta2, epsilon] = hyperOf(inputs.hyper);
    const scale = cpuValues(inputs.report)[0]!;
    if (scale === 0) return [];
    for (let line = 0; line < lineCount; line++) {
      const [first = 0, count = 0, stride = 0] = lines!.subarray(4 * line, 4 * line + 3);
      let sum = 0;
      for (let k = 0; k < count; k++) sum += (gradients![first + k * stride]! * scale) ** 2 + epsilon;
      means![line] = beta2 * means![line]! + (oneMinusBeta2 * sum) / count;
    }
    return [];
  },
});

type MatrixNames = 'scales' | 'values' | 'gradients' | 'means' | 'table' | 'report' | 'hyper';

const runMatrices = defineKernel<Readonly<Record<MatrixNames, TensorInfo>>, { readonly matrices: number }>({
  name: 'AdafactorMatrices',
  webgpu: ({ scales, values, gradients, means, table, report, hyper }, { matrices }) => {
    dispatch({
      shader: matricesShader,
      label: 'adafactor_matrices',
      outputs: [scales],
      inputs: [values, gradients, means, table, report, hyper],
      workgroups: [matrices],
    });
    return [];
  },
  cpu: (inputs, { matrices }) => {
    const [scales, values, gradients, means] = [inputs.scales, inputs.values, inputs.gradients, inputs.means].map(
      cpuValues,
    );
    const [hyperRate, , , , , least] = hyperOf(inputs.hyper);
    const scale = cpuValues(inputs.report)[0]!;
    for (let m = 0; m < matrices; m++) {
      const { offset, rows, columns, line, factor } = matrixAt(inputs.table, m);
      let rowMean = 0;
      for (let row = 0; row < rows; row++) rowMean += means![line + row]! / rows;
      let [updates, squares] = [0, 0];
      for (let k = 0; k < rows * columns; k++) {
        const moment = (means![line + Math.floor(k / columns)]! / rowMean) * means![line + rows + (k % columns)]!;
        updates += (gradients![offset + k]! * scale) ** 2 / moment;
        squares += values![offset + k]! ** 2;
      }
      const [updateSize, valueSize] = [updates, squares].map((sum) => Math.sqrt(sum / (rows * columns)));
      const rate = hyperRate * (least > 0 ? Math.max(least, valueSize!) : 1) * factor;
      scales!.set([rowMean, rate / Math.max(1, updateSize!), rate, 0], 4 * m);
    }
    return [];
  },
});

function matrixAt(table: TensorInfo, m: number): PageMatrix & { readonly line: number } {
  const numbers = cpuValues(table).subarray(m * entry, (m + 1) * entry);
  const [offset = 0, rows = 0, columns = 0, line = 0] = numbers;
  const factor = new Float32Array(numbers.slice().buffer)[4]!;
  return { offset, rows, columns, line, factor };
}

type ApplyNames = 'values' | 'momentum' | 'gradients' | 'means' | 'scales' | 'table' | 'report' | 'hyper';

const runApply = defineKernel<
  Readonly<Record<ApplyNames, TensorInfo>>,
  { readonly size: number; readonly matrices: number; readonly hasMomentum: boolean }
>({
  name: 'AdafactorApply',
  webgpu: (inputs, { size, matrices, hasMomentum }) => {
    const { values, momentum, gradients, means, scales, table, report, hyper } = inputs;
    dispatch({
      shader: applyShader,
      label: 'adafactor_apply',
      constants: { MOMENTUM: hasMomentum },
      outputs: [values, momentum],
      inputs: [gradients, means, scales, table, report, hyper],
      uniforms: [size, matrices],
      workgroups: flatGrid(size, pageBlock),
    });
    return [];
  },
  cpu: (inputs, { matrices, hasMomentum }) => {
    const [values, momentum, gradients] = [inputs.values, inputs.momentum, inputs.gradients].map(cpuValues);
    const [means, scales] = [inputs.means, inputs.scales].map(cpuValues);
    const { 1: beta1, 6: decay } = hyperOf(inputs.hyper);
    const scale = cpuValues(inputs.report)[0]!;
    if (scale === 0) return [];
    for (let m = 0; m < matrices; m++) {
      const { offset, rows, columns, line } = matrixAt(inputs.table, m);
      const [rowMean = 0, updateRate = 0, rate = 0] = scales!.subarray(4 * m, 4 * m + 3);
      for (let k = 0; k < rows * columns; k++) {
        const i = offset + k;
        const moment = (means![line + Math.floor(k / columns)]! / rowMean) * means![line + rows + (k % columns)]!;
        let step = (updateRate * gradients![i]! * scale) / Math.sqrt(moment);
        if (hasMomentum) momentum![i] = step = beta1 * momentum![i]! + (1 - beta1) * step;
        values![i] = (1 - rate * decay) * values![i]! - step;
      }
    }
    return [];
  },
});

/** One step in place. `state` is of {@link createAdafactorState}, for this page. */
export function adafactorStep(
  { values, gradients }: ParameterPage,
  { means, momentum, lines, table, matrices }: AdafactorState,
  report: StepReport,
  options: AdafactorStep,
): void {
  const hyper = tensor(hyperParameters(options));
  const scales = tensor(new Float32Array(4 * matrices));
  runLines({ means, gradients, lines, report, hyper }, { count: means.size });
  runMatrices({ scales, values, gradients, means, table, report, hyper }, { matrices });
  runApply(
    { values, momentum, gradients, means, scales, table, report, hyper },
    { size: values.size, matrices, hasMomentum: options.beta1 > 0 },
  );
  for (const t of [hyper, scales]) t.dispose();
}

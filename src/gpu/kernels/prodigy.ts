/**
 * Prodigy (Mishchenko & Defazio 2023, "Prodigy: An Expeditiously Adaptive Parameter-Free Learner") as prodigyopt's
 * `Prodigy` does it with decoupled decay: Adam at a rate d, the estimated distance to the solution, which only grows. The
 * estimate is over all pages and never leaves the GPU.
 */
import applyShader from '../../../shaders/prodigy_apply.wgsl?raw';
import estimateShader from '../../../shaders/prodigy_estimate.wgsl?raw';
import momentsShader from '../../../shaders/prodigy_moments.wgsl?raw';
import { tensor } from '@tensorflow/tfjs-core';
import { cpuValues, defineKernel, dispatch, type Tensor, type TensorInfo } from '../runtime.ts';
import { flatGrid } from './grid.ts';
import { pageBlock, type ParameterPage, type StepReport } from './parameterPage.ts';

export interface ProdigyStep {
  /** Multiplies the rate that Prodigy finds: 1 by default. */
  readonly learningRate: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  readonly weightDecay: number;
  readonly initialD: number;
  readonly dCoefficient: number;
  readonly biasCorrection: boolean;
  readonly safeguardWarmup: boolean;
  /** 1 for the first step. */
  readonly step: number;
}

export interface ProdigyState {
  /** For each page, (m, v, s, p0) of every value. */
  readonly moments: readonly Tensor[];
  /** d, its last estimate, the numerator's running sum, the d that this step uses. */
  readonly scalars: Tensor;
}

export function createProdigyState(pages: readonly ParameterPage[], initialD: number): ProdigyState {
  return {
    moments: pages.map(({ values: { size } }) => tensor(new Float32Array(4 * size), [4 * size])),
    scalars: tensor(Float32Array.of(initialD, 0, 0, 0)),
  };
}

/** In the order of the shaders' struct Hyper. */
function hyperParameters(options: ProdigyStep): Float32Array {
  const { learningRate, beta1, beta2, step } = options;
  const correction = options.biasCorrection ? Math.sqrt(1 - beta2 ** step) / (1 - beta1 ** step) : 1;
  return Float32Array.of(
    learningRate * correction,
    options.weightDecay,
    beta1,
    beta2,
    Math.sqrt(beta2),
    options.epsilon,
    options.initialD,
    options.dCoefficient,
    options.safeguardWarmup ? 1 : 0,
    step === 1 ? 1 : 0,
  );
}

type Hyper = readonly [
  rate: number,
  decay: number,
  beta1: number,
  beta2: number,
  beta3: number,
  epsilon: number,
  initialD: number,
  coefficient: number,
  safeguard: number,
  first: number,
];

const hyperOf = (info: TensorInfo): Hyper => cpuValues(info) as unknown as Hyper;

type MomentNames = 'state' | 'sums' | 'values' | 'gradients' | 'factors' | 'report' | 'hyper' | 'scalars';

const runMoments = defineKernel<
  Readonly<Record<MomentNames, TensorInfo>>,
  { readonly size: number; readonly offset: number }
>({
  name: 'ProdigyMoments',
  webgpu: ({ state, sums, values, gradients, factors, report, hyper, scalars }, { size, offset }) => {
    dispatch({
      shader: momentsShader,
      label: 'prodigy_moments',
      outputs: [state, sums],
      inputs: [values, gradients, factors, report, hyper, scalars],
      uniforms: [size, offset],
      workgroups: flatGrid(size, pageBlock),
    });
    return [];
  },
  cpu: (inputs, { size, offset }) => {
    const [state, sums, values, gradients] = [inputs.state, inputs.sums, inputs.values, inputs.gradients].map(
      cpuValues,
    );
    const [rate, , beta1, beta2, beta3, , initialD, , safeguard, first] = hyperOf(inputs.hyper);
    const [d, scale] = [cpuValues(inputs.scalars)[0]!, cpuValues(inputs.report)[0]!];
    const factors = cpuValues(inputs.factors);
    for (let i = 0; i < size; i++) {
      const block = Math.floor(i / pageBlock);
      if (i % pageBlock === 0) sums!.fill(0, 2 * (offset + block), 2 * (offset + block) + 2);
      if (scale === 0 || factors[block] === 0) continue;
      const gradient = gradients![i]! * scale;
      const blockRate = d * rate * factors[block]!;
      if (first !== 0) state![4 * i + 3] = values![i]!;
      state![4 * i] = beta1 * state![4 * i]! + d * (1 - beta1) * gradient;
      state![4 * i + 1] = beta2 * state![4 * i + 1]! + d ** 2 * (1 - beta2) * gradient ** 2;
      state![4 * i + 2] = beta3 * state![4 * i + 2]! + (d / initialD) * (safeguard === 0 ? blockRate : d) * gradient;
      sums![2 * (offset + block)]! += (d / initialD) * blockRate * gradient * (state![4 * i + 3]! - values![i]!);
      sums![2 * (offset + block) + 1]! += Math.abs(state![4 * i + 2]!);
    }
    return [];
  },
});

const runEstimate = defineKernel<
  Readonly<Record<'scalars' | 'sums' | 'report' | 'hyper', TensorInfo>>,
  { readonly blocks: number }
>({
  name: 'ProdigyEstimate',
  webgpu: ({ scalars, sums, report, hyper }, { blocks }) => {
    dispatch({
      shader: estimateShader,
      label: 'prodigy_estimate',
      outputs: [scalars],
      inputs: [sums, report, hyper],
      uniforms: [blocks],
      workgroups: [1],
    });
    return [];
  },
  cpu: (inputs, { blocks }) => {
    if (cpuValues(inputs.report)[0] === 0) return [];
    const [scalars, sums] = [cpuValues(inputs.scalars), cpuValues(inputs.sums)];
    const { 4: beta3, 7: coefficient } = hyperOf(inputs.hyper);
    let [numerator, denominator] = [beta3 * scalars[2]!, 0];
    for (let block = 0; block < blocks; block++) {
      numerator += sums[2 * block]!;
      denominator += sums[2 * block + 1]!;
    }
    const d = scalars[0]!;
    scalars[3] = 0;
    if (denominator === 0) return [];
    const estimate = (coefficient * numerator) / denominator;
    scalars.set([Math.max(d, estimate), estimate, numerator, d]);
    return [];
  },
});

const runApply = defineKernel<
  Readonly<Record<'values' | 'state' | 'factors' | 'report' | 'hyper' | 'scalars', TensorInfo>>,
  { readonly size: number }
>({
  name: 'ProdigyApply',
  webgpu: ({ values, state, factors, report, hyper, scalars }, { size }) => {
    dispatch({
      shader: applyShader,
      label: 'prodigy_apply',
      outputs: [values],
      inputs: [state, factors, report, hyper, scalars],
      uniforms: [size],
      workgroups: flatGrid(size, pageBlock),
    });
    return [];
  },
  cpu: (inputs, { size }) => {
    const [values, state, factors] = [inputs.values, inputs.state, inputs.factors].map(cpuValues);
    const [d, , , used] = cpuValues(inputs.scalars) as unknown as readonly [number, number, number, number];
    const { 0: hyperRate, 1: decay, 5: epsilon } = hyperOf(inputs.hyper);
    if (cpuValues(inputs.report)[0] === 0 || used === 0) return [];
    for (let i = 0; i < size; i++) {
      const rate = used * hyperRate * factors![Math.floor(i / pageBlock)]!;
      const step = (rate * state![4 * i]!) / (Math.sqrt(state![4 * i + 1]!) + d * epsilon);
      values![i] = (1 - rate * decay) * values![i]! - step;
    }
    return [];
  },
});

/**
 * One step in place over all pages. With a learning rate of 0 it does nothing, as there, and such a step does not count: the
 * caller must not raise `step` after it.
 */
export function prodigyStep(
  pages: readonly ParameterPage[],
  { moments, scalars }: ProdigyState,
  report: StepReport,
  options: ProdigyStep,
): void {
  if (options.learningRate === 0) return;
  const hyper = tensor(hyperParameters(options));
  const blocks = pages.map(({ values }) => values.size / pageBlock);
  const total = blocks.reduce((a, b) => a + b, 0);
  const sums = tensor(new Float32Array(2 * total), [total, 2]);
  let offset = 0;
  pages.forEach(({ values, gradients, factors }, i) => {
    const inputs = { state: moments[i]!, sums, values, gradients, factors, report, hyper, scalars };
    runMoments(inputs, { size: values.size, offset });
    offset += blocks[i]!;
  });
  runEstimate({ scalars, sums, report, hyper }, { blocks: total });
  pages.forEach(({ values, factors }, i) => {
    runApply({ values, state: moments[i]!, factors, report, hyper, scalars }, { size: values.size });
  });
  for (const t of [hyper, sums]) t.dispose();
}

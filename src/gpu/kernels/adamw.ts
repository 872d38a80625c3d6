/**
 * AdamW (Loshchilov & Hutter 2019) as `torch.optim.AdamW` does it, in place on the GPU.
 *
 * A WebGPU stage may bind eight storage buffers, so a dispatch takes three parameters: their values, their gradients, the
 * moments of all three in one buffer [m of each ..., v of each ...], and the hyper-parameters, which change with every step.
 */
import shader from '../../../shaders/adamw.wgsl?raw';
import { tensor } from '@tensorflow/tfjs-core';
import { invariant } from '../../core/invariant.ts';
import {
  cpuValues,
  defineKernel,
  dispatch,
  readTensor,
  writeTensor,
  type Tensor,
  type TensorInfo,
} from '../runtime.ts';
import { flatGrid } from './grid.ts';

const parametersPerDispatch = 3;

/** The moments of a list of parameters, and what stands in for parameters where the list is no multiple of three. */
export interface AdamState {
  readonly sizes: readonly number[];
  /** [2, total size] for each three parameters. */
  readonly moments: readonly Tensor[];
  readonly spares: readonly Tensor[];
}

/** The moments of one parameter: running means of its gradient (m) and of its square (v). */
export interface AdamMoments {
  readonly m: Float32Array<ArrayBuffer>;
  readonly v: Float32Array<ArrayBuffer>;
}

export interface AdamWStep {
  readonly learningRate: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  readonly weightDecay: number;
  /** 1 for the first step. */
  readonly step: number;
}

/** Moments of zero for `parameters`, in their order. Free them with {@link disposeAdamState}. */
export function createAdamState(parameters: readonly Tensor[]): AdamState {
  const sizes = parameters.map(({ size }) => size);
  const moments = groupsOf(sizes).map(({ total }) => tensor(new Float32Array(2 * total), [2, total]));
  const missing = moments.length * parametersPerDispatch - sizes.length;
  return { sizes, moments, spares: Array.from({ length: missing }, () => tensor([0])) };
}

export function disposeAdamState(state: AdamState): void {
  for (const t of [...state.moments, ...state.spares]) t.dispose();
}

/** Copies the moments off the GPU, one entry a parameter, for a checkpoint. */
export async function readAdamState({ sizes, moments }: AdamState): Promise<AdamMoments[]> {
  const values = await Promise.all(moments.map((t) => readTensor(t)));
  return groupsOf(sizes).flatMap(({ members, total }, g) =>
    members.map(({ offset, size }) => ({
      m: Float32Array.from(values[g]!.subarray(offset, offset + size)),
      v: Float32Array.from(values[g]!.subarray(total + offset, total + offset + size)),
    })),
  );
}

/** Puts back what {@link readAdamState} returned. */
export function restoreAdamState({ sizes, moments }: AdamState, saved: readonly AdamMoments[]): void {
  const fits =
    saved.length === sizes.length && saved.every(({ m, v }, i) => m.length === sizes[i] && v.length === sizes[i]);
  invariant(fits, 'restoreAdamState: the moments belong to other parameters', {
    sizes,
    saved: saved.map(({ m }) => m.length),
  });
  groupsOf(sizes).forEach(({ members, total }, g) => {
    const values = new Float32Array(2 * total);
    for (const { parameter, offset } of members) {
      values.set(saved[parameter]!.m, offset);
      values.set(saved[parameter]!.v, total + offset);
    }
    writeTensor(moments[g]!, values);
  });
}

/**
 * One optimizer step: changes `parameters` and `state` in place. `gradients` are in the order of the parameters, which are
 * those that the state was created for; their owner disposes them.
 */
export function adamwStep(
  parameters: readonly Tensor[],
  gradients: readonly Tensor[],
  state: AdamState,
  options: AdamWStep,
): void {
  const sizes = parameters.map(({ size }) => size);
  const facts = { parameters: sizes, gradients: gradients.map(({ size }) => size), state: state.sizes };
  const fits = sizes.join() === state.sizes.join() && sizes.join() === facts.gradients.join();
  invariant(fits, 'adamwStep: parameters, gradients and state must have the same sizes', facts);
  invariant(Number.isInteger(options.step) && options.step >= 1, 'adamwStep: steps count from 1', {
    step: options.step,
  });
  const hyper = tensor(hyperParameters(options));
  groupsOf(sizes).forEach(({ members, total }, g) => {
    const triple = <T>(values: readonly T[], spare: readonly T[]): [T, T, T] =>
      [...members.map(({ parameter }) => values[parameter]!), ...spare].slice(0, parametersPerDispatch) as [T, T, T];
    const [p0, p1, p2] = triple(parameters, state.spares);
    const [g0, g1, g2] = triple<Tensor | null>(gradients, [null, null]);
    const moments = state.moments[g]!;
    run({ p0, p1, p2, moments, g0, g1, g2, hyper }, { sizes: triple(sizes, [0, 0]), total });
  });
  hyper.dispose();
}

/** What the kernel reads, in the order of its struct `Hyper`; computed in double as torch does. */
function hyperParameters({ learningRate, beta1, beta2, epsilon, weightDecay, step }: AdamWStep): Float32Array {
  return Float32Array.of(
    1 - learningRate * weightDecay,
    1 - beta1,
    beta2,
    1 - beta2,
    Math.sqrt(1 - beta2 ** step),
    epsilon,
    learningRate / (1 - beta1 ** step),
  );
}

interface Member {
  readonly parameter: number;
  readonly offset: number;
  readonly size: number;
}

/** Parameters by three, and where each lies in the moments of its group. */
function groupsOf(sizes: readonly number[]): { members: Member[]; total: number }[] {
  const groups: { members: Member[]; total: number }[] = [];
  sizes.forEach((size, parameter) => {
    if (parameter % parametersPerDispatch === 0) groups.push({ members: [], total: 0 });
    const group = groups.at(-1)!;
    group.members.push({ parameter, offset: group.total, size });
    group.total += size;
  });
  return groups;
}

type Inputs = Readonly<Record<'p0' | 'p1' | 'p2' | 'moments' | 'hyper', TensorInfo>> &
  Readonly<Partial<Record<'g0' | 'g1' | 'g2', TensorInfo | null>>>;

const run = defineKernel<Inputs, { readonly sizes: readonly [number, number, number]; readonly total: number }>({
  name: 'AdamW',
  webgpu: ({ p0, p1, p2, moments, g0 = null, g1 = null, g2 = null, hyper }, { sizes, total }) => {
    dispatch({
      shader,
      label: 'adamw',
      outputs: [p0, p1, p2, moments],
      inputs: [g0, g1, g2, hyper],
      uniforms: sizes,
      workgroups: flatGrid(total, 256),
    });
    return [];
  },
  cpu: ({ p0, p1, p2, moments, g0, g1, g2, hyper }, { sizes, total }) => {
    const [decay, oneMinusBeta1, beta2, oneMinusBeta2, rootCorrection2, epsilon, stepSize] = cpuValues(
      hyper,
    ) as unknown as Hyper;
    const ms = cpuValues(moments);
    const gradients = [g0, g1, g2].map((gradient) => (gradient ? cpuValues(gradient) : []));
    let at = 0;
    [p0, p1, p2].map(cpuValues).forEach((params, k) => {
      for (let i = 0; i < sizes[k]!; i++, at++) {
        const gradient = gradients[k]![i]!;
        ms[at]! += oneMinusBeta1 * (gradient - ms[at]!);
        ms[total + at] = beta2 * ms[total + at]! + oneMinusBeta2 * gradient ** 2;
        params[i] =
          decay * params[i]! - (stepSize * ms[at]!) / (Math.sqrt(ms[total + at]!) / rootCorrection2 + epsilon);
      }
    });
    return [];
  },
});

type Hyper = readonly [number, number, number, number, number, number, number];

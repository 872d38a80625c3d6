/**
 * Trained parameters laid end to end in one buffer, so that an optimizer takes one dispatch and not one a parameter. Each begins
 * at a multiple of 256 values, the workgroup of every kernel here, and is padded with zeros, which every optimizer leaves zero.
 */
import { tensor } from '@tensorflow/tfjs-core';
import { cpuValues, defineKernel, dispatch, type Tensor, type TensorInfo } from '../runtime.ts';
import { flatGrid } from './grid.ts';

/** Values to a workgroup. */
export const pageBlock = 256;

export interface ParameterPage {
  /** [size], a multiple of {@link pageBlock}. */
  readonly values: Tensor;
  readonly gradients: Tensor;
  /** [size / pageBlock]: what the learning rate is multiplied by. */
  readonly factors: Tensor;
}

/**
 * [2 + number of losses]: what gradients are multiplied by, their norm, the losses. A factor of 0 says that the step must not be
 * applied: see gradientNorm.ts.
 */
export type StepReport = Tensor;

type Names = 'values' | 'state' | 'gradients' | 'factors' | 'report' | 'hyper';
type Arrays = Readonly<Record<Names, Float32Array>>;

/** An optimizer whose update of a value depends on nothing but that value's gradient and state. */
export interface ElementwiseOptimizer {
  readonly name: string;
  /** The shader's stem, and its text: bindings as in adamw.wgsl. */
  readonly label: string;
  readonly shader: string;
  /** Updates value i in place; `scale` is the factor of all gradients, `factor` that of the learning rate. */
  update(arrays: Arrays, i: number, scale: number, factor: number): void;
}

/** Returns the step of an optimizer: changes the page's values and `state` in place. `hyper` is the shader's struct Hyper. */
export function defineElementwise(
  optimizer: ElementwiseOptimizer,
): (page: ParameterPage, state: Tensor, report: StepReport, hyper: readonly number[]) => void {
  const { name, label, shader } = optimizer;
  const run = defineKernel<Readonly<Record<Names, TensorInfo>>, { readonly size: number }>({
    name,
    webgpu: ({ values, state, gradients, factors, report, hyper }, { size }) => {
      dispatch({
        shader,
        label,
        outputs: [values, state],
        inputs: [gradients, factors, report, hyper],
        uniforms: [size],
        workgroups: flatGrid(size, pageBlock),
      });
      return [];
    },
    cpu: (inputs, { size }) => {
      const arrays = Object.fromEntries(Object.entries(inputs).map(([key, info]) => [key, cpuValues(info)])) as Record<
        Names,
        Float32Array
      >;
      const scale = arrays.report[0]!;
      if (scale === 0) return [];
      for (let i = 0; i < size; i++) optimizer.update(arrays, i, scale, arrays.factors[Math.floor(i / pageBlock)]!);
      return [];
    },
  });
  return ({ values, gradients, factors }, state, report, hyper) => {
    const hyperTensor = tensor(Float32Array.from(hyper));
    run({ values, state, gradients, factors, report, hyper: hyperTensor }, { size: values.size });
    hyperTensor.dispose();
  };
}

import shader from '../../../shaders/average_weights.wgsl?raw';
import { tensor } from '@tensorflow/tfjs-core';
import { cpuValues, defineKernel, dispatch, type Tensor, type TensorInfo } from '../runtime.ts';
import { flatGrid } from './grid.ts';
import { pageBlock, type StepReport } from './parameterPage.ts';

const run = defineKernel<
  Readonly<Record<'average' | 'values' | 'report' | 'weight', TensorInfo>>,
  { readonly size: number }
>({
  name: 'AverageWeights',
  webgpu: ({ average, values, report, weight }, { size }) => {
    dispatch({
      shader,
      label: 'average_weights',
      outputs: [average],
      inputs: [values, report, weight],
      uniforms: [size],
      workgroups: flatGrid(size, pageBlock),
    });
    return [];
  },
  cpu: ({ average, values, report, weight }) => {
    if (cpuValues(report)[0] === 0) return [];
    const [averages, news, share] = [cpuValues(average), cpuValues(values), cpuValues(weight)[0]!];
    news.forEach((value, i) => (averages[i]! += share * (value - averages[i]!)));
    return [];
  },
});

/** The exponential moving average of weights, in place: average += (1 - decay) (values - average); nothing if the step is not applied. */
export function averageWeights(average: Tensor, values: Tensor, report: StepReport, decay: number): void {
  const weight = tensor(Float32Array.of(1 - decay));
  run({ average, values, report, weight }, { size: values.size });
  weight.dispose();
}

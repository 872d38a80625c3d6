import shader from '../../../shaders/mean_squared_error.wgsl?raw';
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
import { flatGrid } from './grid.ts';

/** Values that one workgroup of the first stage adds. */
const chunk = 4096;

const runForward = defineKernel<{ prediction: TensorInfo; target: TensorInfo }, object>({
  name: 'MeanSquaredError',
  webgpu: ({ prediction, target }) => {
    const size = sizeOf(prediction);
    const chunks = Math.ceil(size / chunk);
    const sums = emptyTensor([chunks]);
    const label = 'mean_squared_error';
    dispatch({
      shader,
      label,
      constants: { BACKWARD: false, FINISH: false },
      outputs: [sums],
      inputs: [prediction, target, null],
      uniforms: [size, chunk, { f32: 1 }],
      workgroups: [chunks],
    });
    const y = emptyTensor([]);
    dispatch({
      shader,
      label,
      constants: { BACKWARD: false, FINISH: true },
      outputs: [y],
      inputs: [sums, null, null],
      uniforms: [chunks, chunks, { f32: 1 / size }],
      workgroups: [1],
    });
    releaseTensor(sums);
    return [y];
  },
  cpu: ({ prediction, target }) => {
    const goals = cpuValues(target);
    let sum = 0;
    cpuValues(prediction).forEach((value, i) => (sum += (value - goals[i]!) ** 2));
    return [cpuTensor([], Float32Array.of(sum / goals.length))];
  },
});

const runBackward = defineKernel<{ prediction: TensorInfo; target: TensorInfo; dy: TensorInfo }, object>({
  name: 'MeanSquaredErrorBackward',
  webgpu: ({ prediction, target, dy }) => {
    const size = sizeOf(prediction);
    const dx = emptyTensor(prediction.shape);
    dispatch({
      shader,
      label: 'mean_squared_error',
      constants: { BACKWARD: true, FINISH: false },
      outputs: [dx],
      inputs: [prediction, target, dy],
      uniforms: [size, 0, { f32: 2 / size }],
      workgroups: flatGrid(size, 256),
    });
    return [dx];
  },
  cpu: ({ prediction, target, dy }) => {
    const [values, goals, upstream] = [cpuValues(prediction), cpuValues(target), cpuValues(dy)[0]!];
    const dx = Float32Array.from(values, (value, i) => (2 * (value - goals[i]!) * upstream) / values.length);
    return [cpuTensor(prediction.shape, dx)];
  },
});

function sizeOf({ shape }: TensorInfo): number {
  return shape.reduce((a, b) => a * b, 1);
}

/**
 * The mean of (prediction - target)² over all elements, as a scalar (shape []). The gradient goes to the prediction only.
 * Summed in an order that depends on nothing but the size, so equal inputs give equal bits.
 */
export function meanSquaredError(prediction: Tensor, target: Tensor): Tensor {
  const facts = { prediction: prediction.shape, target: target.shape };
  invariant(prediction.shape.join() === target.shape.join(), 'meanSquaredError: the shapes must be equal', facts);
  return differentiable(
    { prediction },
    (save) => {
      save([prediction, target]);
      return runForward({ prediction, target }, {})[0]!;
    },
    (dy, [savedPrediction, savedTarget]) => ({
      prediction: () => runBackward({ prediction: savedPrediction!, target: savedTarget!, dy }, {})[0]!,
    }),
  );
}

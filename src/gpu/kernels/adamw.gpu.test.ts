// Plan: ten steps against a plain double-precision AdamW, on the GPU and on the CPU reference, for numbers of parameters that
// fill a dispatch and that do not, with a learning rate that changes; the number of dispatches; a state that is read and
// restored goes on with the same bits; nothing leaks; the errors.
import { engine, memory, setBackend, tensor } from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import { readTensor, runtime, type Tensor } from '../runtime.ts';
import { expectClose, noise, useTestRuntime } from '../testing.ts';
import {
  adamwStep,
  createAdamState,
  disposeAdamState,
  readAdamState,
  restoreAdamState,
  type AdamState,
  type AdamWStep,
} from './adamw.ts';

useTestRuntime();

const shapes = [[4, 3], [7], [1], [300, 2], [5, 5]];
const size = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

function optionsAt(step: number): AdamWStep {
  return { learningRate: 1e-2 / step, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0.1, step };
}

/** Gradients of very different sizes, as those of LoRA's two matrices are. */
function gradientValues(parameter: number, step: number): Float32Array<ArrayBuffer> {
  return noise(size(shapes[parameter]!), 100 * step + parameter, 10 ** -(parameter * 2));
}

/** torch/optim/adamw.py, `_single_tensor_adamw`, in double precision. */
function plainAdamW(parameter: number, steps: number): number[] {
  const p = Array.from(noise(size(shapes[parameter]!), parameter));
  const m = p.map(() => 0);
  const v = p.map(() => 0);
  for (let step = 1; step <= steps; step++) {
    const { learningRate, beta1, beta2, epsilon, weightDecay } = optionsAt(step);
    gradientValues(parameter, step).forEach((gradient, i) => {
      p[i]! *= 1 - learningRate * weightDecay;
      m[i] = beta1 * m[i]! + (1 - beta1) * gradient;
      v[i] = beta2 * v[i]! + (1 - beta2) * gradient * gradient;
      const denominator = Math.sqrt(v[i]) / Math.sqrt(1 - beta2 ** step) + epsilon;
      p[i]! -= ((learningRate / (1 - beta1 ** step)) * m[i]) / denominator;
    });
  }
  return p;
}

function makeParameters(count: number): Tensor[] {
  return shapes.slice(0, count).map((shape, i) => tensor(noise(size(shape), i), shape));
}

function runSteps(parameters: readonly Tensor[], state: AdamState, from: number, to: number): void {
  for (let step = from; step <= to; step++) {
    const gradients = parameters.map(({ shape }, i) => tensor(gradientValues(i, step), shape));
    adamwStep(parameters, gradients, state, optionsAt(step));
    for (const gradient of gradients) gradient.dispose();
  }
}

const valuesOf = async (t: Tensor): Promise<Float32Array> =>
  engine().backendName === 'cpu' ? Float32Array.from(t.dataSync()) : readTensor(t);

describe.each(['cpu', 'webgpu'])('adamwStep on %s', (backend) => {
  test.each([1, 2, 3, 5])(
    'equals a plain AdamW after ten steps over %d parameters, and leaks nothing',
    async (count) => {
      await setBackend(backend);
      const before = memory().numTensors;
      const parameters = makeParameters(count);
      const state = createAdamState(parameters);
      runSteps(parameters, state, 1, 10);
      for (const [i, parameter] of parameters.entries()) {
        expectClose(await valuesOf(parameter), plainAdamW(i, 10), 1e-6, `parameter ${i}`);
        parameter.dispose();
      }
      disposeAdamState(state);
      expect(memory().numTensors).toBe(before);
    },
  );
});

describe('AdamState', () => {
  test('160 parameters need 54 dispatches', async () => {
    await setBackend('webgpu');
    const parameters = Array.from({ length: 160 }, (_, i) => tensor(noise(40, i), [4, 10]));
    const state = createAdamState(parameters);
    const before = runtime().counters.dispatches;
    const gradients = parameters.map((_, i) => tensor(noise(40, 1000 + i), [4, 10]));
    adamwStep(parameters, gradients, state, optionsAt(1));
    expect(runtime().counters.dispatches - before).toBe(54);
    disposeAdamState(state);
  });

  test('read and restored, goes on with the same bits', async () => {
    await setBackend('webgpu');
    const straight = makeParameters(5);
    const straightState = createAdamState(straight);
    runSteps(straight, straightState, 1, 4);
    const saved = await readAdamState(straightState);
    expect(saved.map(({ m, v }) => [m.length, v.length])).toEqual(shapes.map((shape) => [size(shape), size(shape)]));
    const values = await Promise.all(straight.map((t) => readTensor(t)));
    const resumed = straight.map(({ shape }, i) => tensor(values[i]!, shape));
    const resumedState = createAdamState(resumed);
    restoreAdamState(resumedState, saved);
    runSteps(straight, straightState, 5, 8);
    runSteps(resumed, resumedState, 5, 8);
    for (const i of shapes.keys()) expect(await readTensor(resumed[i]!)).toEqual(await readTensor(straight[i]!));
  });

  test('refuses what does not belong together', async () => {
    await setBackend('webgpu');
    const parameters = makeParameters(2);
    const state = createAdamState(parameters);
    expect(() => adamwStep(parameters, [parameters[0]!], state, optionsAt(1))).toThrow('must have the same sizes');
    expect(() => adamwStep(parameters, parameters, state, optionsAt(0))).toThrow('steps count from 1');
    expect(() => restoreAdamState(state, [])).toThrow('the moments belong to other parameters');
  });
});

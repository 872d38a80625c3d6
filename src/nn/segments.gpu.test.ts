// Plan: checkpointed segments against the same network differentiated at once, with a value that is read twice; segments whose tape is kept
// give the same bits, cost nothing twice, and are told from those that do; nothing leaks.
import { grads, memory, mul, sum, tensor as tfTensor, type Tensor } from '@tensorflow/tfjs-core';
import { expect, test } from 'vitest';
import { add, readTensor, tensor } from '../gpu/ops.ts';
import { expectClose, noise, useTestRuntime } from '../gpu/testing.ts';
import type { SegmentCosts } from './segmentPlan.ts';
import { checkpointedGradients, runSegments, type Segment } from './segments.ts';

useTestRuntime();

test('checkpointed segments: the gradients of the network differentiated at once; nothing leaks', async () => {
  const a = tensor(noise(4, 11), [4]);
  const b = tensor(noise(4, 12), [4]);
  const input = tensor(noise(4, 13), [4]);
  const one = tfTensor(1);
  // h0 = in * a ; h1 = h0 * h0 ; loss = sum((h1 + h0) * b), with h0 read twice, as a skip connection is.
  const segment = (
    name: string,
    reads: string[],
    write: string,
    parameters: Tensor[],
    run: (xs: readonly Tensor[]) => Tensor,
  ): Segment => ({
    name,
    reads,
    writes: [write],
    parameters: () => parameters,
    run: (xs) => [run(xs)],
  });
  const segments = [
    segment('first', ['in'], 'h0', [a], ([x]) => mul(x!, a)),
    segment('second', ['h0'], 'h1', [], ([x]) => mul(x!, x!)),
    segment('loss', ['h1', 'h0'], 'loss', [b], ([h1, h0]) => sum(mul(add(h1!, h0!), b))),
  ];
  const whole = (inTensor: Tensor, aTensor: Tensor, bTensor: Tensor): Tensor => {
    const h0 = mul(inTensor, aTensor);
    return sum(mul(add(mul(h0, h0), h0), bTensor));
  };
  const before = memory().numTensors;
  const inputs = new Map([['in', input]]);
  const result = checkpointedGradients(segments, inputs, [a, b], { loss: 'loss', one, gradientsOf: ['in', 'h0'] });
  expect(memory().numTensors).toBe(before + 5);

  const costs: SegmentCosts = new Map();
  const keptResult = checkpointedGradients(segments, inputs, [a, b], {
    loss: 'loss',
    one,
    gradientsOf: ['in', 'h0'],
    kept: new Set(['first']),
    costs,
  });
  expect(memory().numTensors).toBe(before + 10);
  expect([...costs.keys()]).toEqual(['second']);
  for (const [i, gradient] of result.parameters.entries()) {
    expect(await readTensor(keptResult.parameters[i]!)).toEqual(await readTensor(gradient!));
  }
  expect(await readTensor(keptResult.values.get('in')!)).toEqual(await readTensor(result.values.get('in')!));
  const [dIn, dA, dB] = grads(whole)([input, a, b]);
  expectClose(await readTensor(result.parameters[0]!), await readTensor(dA!), 1e-6, 'a');
  expectClose(await readTensor(result.parameters[1]!), await readTensor(dB!), 1e-6, 'b');
  expectClose(await readTensor(result.values.get('in')!), await readTensor(dIn!), 1e-6, 'in');
  const loss = runSegments(segments, inputs, 'loss');
  expectClose(await readTensor(loss), await readTensor(result.outputs.get('loss')!), 0, 'loss');
});

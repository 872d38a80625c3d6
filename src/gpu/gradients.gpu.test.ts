// Plan: the eager walker against tfjs' own gradients on a graph with shared inputs, several outputs and unused branches; what it
// frees; and checkpointed segments against the same network differentiated at once.
import { grads, memory, mul, sum, tensor as tfTensor, type Tensor } from '@tensorflow/tfjs-core';
import { beforeAll, expect, test } from 'vitest';
import { checkpointedGradients, runSegments, type Segment } from '../nn/segments.ts';
import { vjp } from './gradients.ts';
import { add, readTensor, scale, tensor } from './ops.ts';
import { runtime } from './runtime.ts';
import { expectClose, noise, useTestRuntime } from './testing.ts';

useTestRuntime();

beforeAll(() => {
  expect(runtime().counters.liveBytes).toBeGreaterThan(0);
});

const f = (x: Tensor, y: Tensor): Tensor => add(mul(x, y), mul(mul(x, x), y));

test('vjp equals tfjs, for shared inputs, and frees everything', async () => {
  const x = tensor(noise(12, 1), [3, 4]);
  const y = tensor(noise(12, 2), [3, 4]);
  const dy = tensor(noise(12, 3), [3, 4]);
  const before = memory().numTensors;
  const tape = vjp(() => [f(x, y)], [x, y]);
  const [dx, dyy] = tape.backward([dy]);
  expect(memory().numTensors).toBe(before + 3);
  const expected = grads((a: Tensor, b: Tensor) => f(a, b))([x, y], dy);
  expectClose(await readTensor(dx!), await readTensor(expected[0]!), 1e-6);
  expectClose(await readTensor(dyy!), await readTensor(expected[1]!), 1e-6);
});

test('vjp of several outputs adds their gradients; an input that reaches none gets null', async () => {
  const x = tensor(Float32Array.of(1, 2, 3, 4), [4]);
  const other = tensor(Float32Array.of(1, 1, 1, 1), [4]);
  const one = tensor(Float32Array.of(1, 1, 1, 1), [4]);
  const tape = vjp(() => [mul(x, x), scale(x, 3)], [x, other]);
  const [dx, dOther] = tape.backward([one, one]);
  expect(Array.from(await readTensor(dx!))).toEqual([5, 7, 9, 11]);
  expect(dOther).toBeNull();
});

test('a tape can be walked only once', () => {
  const x = tensor(Float32Array.of(1), [1]);
  const tape = vjp(() => [mul(x, x)], [x]);
  tape.backward([x]);
  expect(() => tape.backward([x])).toThrow('A tape can be walked only once');
});

test('checkpointed segments: the gradients of the network differentiated at once; nothing leaks', async () => {
  const a = tensor(noise(4, 11), [4]);
  const b = tensor(noise(4, 12), [4]);
  const input = tensor(noise(4, 13), [4]);
  const one = tfTensor(1);
  // h0 = in * a ; h1 = h0 * h0 ; loss = sum((h1 + h0) * b), with h0 read twice, as a skip connection is.
  const segment = (name: string, reads: string[], write: string, parameters: Tensor[], run: (xs: readonly Tensor[]) => Tensor): Segment => ({
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
  const result = checkpointedGradients(segments, inputs, [a, b], { loss: 'loss', one, inputGradients: ['in'] });
  expect(memory().numTensors).toBe(before + 4);
  const [dIn, dA, dB] = grads(whole as (...xs: Tensor[]) => Tensor)([input, a, b]);
  expectClose(await readTensor(result.parameters[0]!), await readTensor(dA!), 1e-6, 'a');
  expectClose(await readTensor(result.parameters[1]!), await readTensor(dB!), 1e-6, 'b');
  expectClose(await readTensor(result.inputs.get('in')!), await readTensor(dIn!), 1e-6, 'in');
  const loss = runSegments(segments, inputs, 'loss');
  expectClose(await readTensor(loss), await readTensor(result.outputs.get('loss')!), 0, 'loss');
});

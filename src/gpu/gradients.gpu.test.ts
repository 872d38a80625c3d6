// Plan: the eager walker against tfjs' own gradients on a graph with shared inputs, several outputs and unused branches, and
// what it frees.
import { grads, memory, mul, type Tensor } from '@tensorflow/tfjs-core';
import { expect, test } from 'vitest';
import { vjp } from './gradients.ts';
import { add, readTensor, scale, tensor } from './ops.ts';
import { expectClose, noise, useTestRuntime } from './testing.ts';

useTestRuntime();

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

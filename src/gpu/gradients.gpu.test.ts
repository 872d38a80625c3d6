// Plan: the eager walker against tfjs' own gradients on a graph with shared inputs, several outputs and unused branches, what
// it frees, and gradients that add what has been accumulated themselves.
import { grads, memory, mul, type Tensor } from '@tensorflow/tfjs-core';
import { expect, test } from 'vitest';
import { vjp } from './gradients.ts';
import { add, layerNorm, readTensor, scale, tensor } from './ops.ts';
import { accumulating, differentiable } from './runtime.ts';
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

test("a gradient that can add takes what its input has accumulated; dy stays the caller's and nothing leaks", async () => {
  const x = tensor(noise(24, 1), [3, 8]);
  const gamma = tensor(noise(8, 2), [8]);
  const beta = tensor(noise(8, 3), [8]);
  const dy = tensor(noise(24, 4), [3, 8]);
  const norm = (t: Tensor): Tensor => layerNorm(t, gamma, beta, 1e-5);
  // Walked backwards: the residual's dy is passed through to h and x before either norm's gradient is added to it.
  const g = (t: Tensor): Tensor => {
    const h = add(t, norm(t));
    return add(h, norm(h));
  };
  const before = memory().numTensors;
  const tape = vjp(() => [g(x)], [x]);
  const [dx] = tape.backward([dy]);
  expect(memory().numTensors).toBe(before + 2);
  const [expected] = grads((t: Tensor) => g(t))([x], dy);
  expectClose(await readTensor(dx!), await readTensor(expected!), 1e-5);
  expect(await readTensor(dy)).toEqual(noise(24, 4));
  for (const t of [dx!, expected!, ...tape.outputs]) t.dispose();
  expect(memory().numTensors).toBe(before);
});

test('inputs of one node that are the same tensor are all added', async () => {
  const x = tensor(noise(4, 1), [4]);
  const dy = tensor(noise(4, 2), [4]);
  const addends: (Tensor | null)[] = [];
  const product = (a: Tensor, b: Tensor): Tensor =>
    differentiable(
      { a, b },
      () => mul(a, b),
      (upstream) => {
        const towards = (factor: Tensor) =>
          accumulating((addend) => {
            addends.push(addend);
            const gradient = mul(upstream, factor);
            return addend ? add(gradient, addend) : gradient;
          });
        return { a: towards(b), b: towards(a) };
      },
    );
  const before = memory().numTensors;
  const tape = vjp(() => [add(product(x, x), x)], [x]);
  const [dx] = tape.backward([dy]);
  expect(memory().numTensors).toBe(before + 2);
  const [xs, dys] = [noise(4, 1), noise(4, 2)];
  expectClose(
    await readTensor(dx!),
    dys.map((d, i) => d * (2 * xs[i]! + 1)),
    1e-6,
  );
  expect(addends.map((addend) => addend?.isDisposed)).toEqual([true, true]);
});

// Plan, on the tiny model: keeping a call's depth changes none of its bits; reusing it for the same input gives those bits again, and for
// another input what the outermost segments give by hand around the kept tensor, to the bit, in a fraction of the dispatches; nothing leaks.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { fixtureTree } from '../../tools/testing.ts';
import { defined } from '../core/invariant.ts';
import { readTensor, tensor, tensorCount, tidy, type Tensor } from '../gpu/ops.ts';
import { runtime } from '../gpu/runtime.ts';
import { noise, useTestRuntime } from '../gpu/testing.ts';
import { openDiffusionModel } from './repository.ts';
import type { UNet2DCondition } from './unet.ts';

useTestRuntime();

let unet: UNet2DCondition;

beforeAll(async () => {
  unet = await (await openDiffusionModel(await fixtureTree('sd15-tiny/model'))).loadUNet();
});

afterAll(() => unet.dispose());

/** Values and dispatches of a call. */
async function read(call: () => Tensor): Promise<{ readonly values: Float32Array; readonly dispatches: number }> {
  const before = runtime().counters.dispatches;
  const output = call();
  const { dispatches } = runtime().counters;
  const values = await readTensor(output);
  output.dispose();
  return { values, dispatches: dispatches - before };
}

test('a call that reuses the depth of another', async () => {
  const { crossAttentionDim } = unet.config;
  const sample = tensor(noise(2 * 8 * 8 * 4, 1), [2, 8, 8, 4]);
  const later = tensor(noise(2 * 8 * 8 * 4, 2), [2, 8, 8, 4]);
  const context = tensor(noise(2 * 7 * crossAttentionDim, 3), [2, 7, crossAttentionDim]);
  const t = [600, 600];
  const laterT = [550, 550];
  const before = tensorCount();
  const plain = await read(() => unet.forward(sample, t, context));
  const { output, deep } = unet.forwardKeeping(sample, t, context);
  expect(await readTensor(output)).toEqual(plain.values);
  output.dispose();
  const again = await read(() => unet.forwardShallow(sample, t, context, deep));
  expect(again.values).toEqual(plain.values);
  expect(again.dispatches).toBeLessThan(0.25 * plain.dispatches);

  const reused = await read(() => unet.forwardShallow(later, laterT, context, deep));
  expect(reused.values).not.toEqual(plain.values);
  expect(reused.values).not.toEqual((await read(() => unet.forward(later, laterT, context))).values);
  const byName = (name: string) =>
    defined(
      unet.segments().find((segment) => segment.name === name),
      name,
    );
  const byHand = await read(() =>
    tidy(() => {
      const time = unet.embedTime(laterT);
      const [first] = byName('conv_in').run([later]);
      const [up] = byName('up_blocks.3.2').run([deep, first!, time, context]);
      return byName('conv_out').run([up!])[0]!;
    }),
  );
  expect(reused.values).toEqual(byHand.values);
  deep.dispose();
  expect(tensorCount()).toBe(before);
  for (const one of [sample, later, context]) one.dispose();
});

// Plan: batches are the same every time, whatever else is validated and however they are cut; means by timestep and over all.
import { expect, test } from 'vitest';
import { defaultTrainOptions } from '../core/trainOptions.ts';
import { diffusionSettings, type TrainingExample } from './batch.ts';
import { validate, validationBatches } from './validation.ts';

const { validation } = defaultTrainOptions;
const settings = diffusionSettings(defaultTrainOptions, { num_train_timesteps: 500 });

function example(value: number): TrainingExample {
  const moments = { mean: new Float32Array(8).fill(value), logvar: new Float32Array(8) };
  return {
    crops: [{ latents: { height: 1, width: 2, channels: 4, plain: moments, flipped: null }, mask: null }],
    caption: String(value),
    weight: 1,
  };
}

const embeddingOf = (caption: string) => ({
  tokens: 1,
  width: 2,
  values: Float32Array.of(Number(caption), Number(caption)),
});

test('one batch an image, at timesteps of the model’s schedule, the same every time', () => {
  const options = { ...validation, timesteps: [100, 999] };
  const make = (count: number) =>
    validationBatches([1, 2, 3].slice(0, count).map(example), options, {
      settings,
      scalingFactor: 0.5,
      batchSize: 2,
      embeddingOf,
    });
  const batches = make(3);
  expect(batches.map(({ timesteps }) => timesteps)).toEqual([
    [50, 499],
    [50, 499],
    [50, 499],
  ]);
  expect(batches[1]!.clean).toEqual(new Float32Array(16).fill(1));
  expect(batches[1]!.context).toEqual(new Float32Array(4).fill(2));
  expect(batches[1]!.noise).not.toEqual(batches[0]!.noise);
  expect(make(2)[1]).toEqual(batches[1]);
});

test('means by timestep and over all', async () => {
  const batches = validationBatches(
    [example(1), example(2)],
    { ...validation, timesteps: [0, 500] },
    { settings, scalingFactor: 1, batchSize: 2, embeddingOf },
  );
  const losses = [
    [1, 2],
    [3, 6],
  ];
  let at = 0;
  expect(await validate(batches, async () => losses[at++]!)).toEqual({
    loss: 3,
    byTimestep: [
      { timestep: 0, loss: 2 },
      { timestep: 250, loss: 4 },
    ],
  });
});

test('cut into batches no larger than a step’s, it is the same', async () => {
  const examples = [example(1), example(2)];
  const of = (batchSize: number) =>
    validationBatches(examples, validation, { settings, scalingFactor: 1, batchSize, embeddingOf });
  const [whole, cut] = [of(8), of(2)];
  expect(cut.map(({ shape: [n], from }) => [n, from])).toEqual([
    [2, 0],
    [2, 2],
    [1, 4],
    [2, 0],
    [2, 2],
    [1, 4],
  ]);
  const joined = (batches: typeof cut, part: 'noisy' | 'target' | 'context') =>
    batches.flatMap((batch) => Array.from(batch[part]));
  for (const part of ['noisy', 'target', 'context'] as const) expect(joined(cut, part)).toEqual(joined(whole, part));
  const lossOf = async ({ noisy, shape: [n] }: (typeof cut)[number] | Parameters<Parameters<typeof validate>[1]>[0]) =>
    Array.from({ length: n }, (_, i) => Math.abs(noisy[i * 8]!));
  const [first, second] = [await validate(whole, lossOf), await validate(cut, lossOf)];
  expect(second).toEqual(first);
  expect(first.byTimestep.map(({ timestep }) => timestep)).toEqual([50, 150, 250, 350, 450]);
});

// Plan: on the tiny model. For every optimizer: a trainer restored from another's state goes on with the same bytes. A batch that overflows
// changes nothing, and the run goes on as if it had not been. Accumulated batches equal one large batch. The average follows and is
// lent to the model. Validation gives the step's losses. A mask of zeros teaches nothing; a factor of 0 freezes. Nothing leaks.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { layersToTrain, TrainableAdapter } from '../adapter/trainable.ts';
import { folderTree } from './nodeFiles.ts';
import { defaultOptimizer, defaultTrainOptions, type OptimizerName } from '../core/trainOptions.ts';
import { openDevice } from '../gpu/device.ts';
import { tensorCount } from '../gpu/ops.ts';
import { startRuntime, stopRuntime } from '../gpu/runtime.ts';
import { expectClose, noise } from '../gpu/testing.ts';
import { openDiffusionModel } from '../models/repository.ts';
import type { UNet2DCondition } from '../models/unet.ts';
import { diffusionSettings, noiseBatch, type NoisyBatch } from '../trainer/batch.ts';
import { LoraTrainer, type TrainerOptions } from '../trainer/trainer.ts';
import { StateLayoutError } from '../trainer/trainerState.ts';

let unet: UNet2DCondition;

beforeAll(async () => {
  await startRuntime(await openDevice(navigator.gpu));
  unet = await (await openDiffusionModel(await folderTree('fixtures/sd15-tiny/model'))).loadUNet();
});

afterAll(() => {
  unet.dispose();
  stopRuntime();
});

const plain: TrainerOptions = { ...defaultTrainOptions, maxGradNorm: 0 };

interface Setup {
  readonly trainer: LoraTrainer;
  readonly adapter: TrainableAdapter;
}

function setUp(options: Partial<TrainerOptions> = {}, multiplier = 1): Setup {
  const layers = layersToTrain({ unet: unet.adaptableLayers }, defaultTrainOptions).slice(0, 4);
  const adapter = TrainableAdapter.create(layers, { rank: 2, alpha: 2, seed: 1 });
  const groups = adapter.parameterGroups().map((group) => ({ ...group, multiplier }));
  return { adapter, trainer: new LoraTrainer({ unet }, groups, { ...plain, ...options }) };
}

function tearDown({ trainer, adapter }: Setup): void {
  trainer.dispose();
  adapter.dispose();
}

/** Made-up examples `first` to `first + n`, the same whatever batch they are in. */
function batchOf(first: number, n: number, changes: Partial<NoisyBatch> = {}): NoisyBatch {
  const size = 8 * 8 * 4;
  const tokens = 4;
  const width = unet.config.crossAttentionDim;
  const join = (length: number, seed: number): Float32Array =>
    Float32Array.from(Array.from({ length: n }, (_, i) => Array.from(noise(length, seed + first + i, 1.5))).flat());
  const parts = {
    shape: [n, 8, 8, 4] as const,
    clean: join(size, 100),
    noise: join(size, 200),
    timesteps: Array.from({ length: n }, (_, i) => 100 + 150 * (first + i)),
    context: join(tokens * width, 300),
    contextShape: [n, tokens, width] as const,
  };
  return { ...noiseBatch(parts, diffusionSettings(defaultTrainOptions, {})), ...changes };
}

const values = async ({ adapter }: Setup): Promise<Float32Array> =>
  Float32Array.from((await adapter.toModules()).flatMap(({ down, up }) => [...down, ...up]));

async function run(setup: Setup, from: number, to: number): Promise<void> {
  for (let i = from; i < to; i++) await setup.trainer.step([batchOf(i, 1)], 1e-2);
}

const optimizers: OptimizerName[] = ['adamw', 'adamw8bit', 'lion', 'prodigy', 'adafactor'];

describe.each(optimizers)('%s', (name) => {
  test('restored, goes on with the same bytes', async () => {
    const tensors = tensorCount();
    const options = { optimizer: defaultOptimizer(name), emaDecay: 0.9 };
    const straight = setUp(options);
    await run(straight, 0, 2);
    const state = structuredClone(await straight.trainer.readState());
    await run(straight, 2, 4);
    const expected = { values: await values(straight), state: await straight.trainer.readState() };
    tearDown(straight);

    const resumed = setUp(options);
    resumed.trainer.restoreState(state);
    expect(resumed.trainer.steps).toBe(2);
    await run(resumed, 2, 4);
    expect(await values(resumed)).toEqual(expected.values);
    expect(await resumed.trainer.readState()).toEqual(expected.state);
    tearDown(resumed);
    expect(tensorCount()).toBe(tensors);
  });
});

test('a state of packed q, k and v, as an older Adafactor kept it, is refused with what to do', async () => {
  const setup = setUp({ optimizer: defaultOptimizer('adafactor') });
  const state = new Map(await setup.trainer.readState());
  const means = state.get('optimizer.0')!;
  state.set('optimizer.0', means.slice(0, -8));
  expect(() => setup.trainer.restoreState(state)).toThrow(
    `The run cannot be gone on with: its checkpoint holds ${means.byteLength - 8} bytes of optimizer.0, where this version keeps ${means.byteLength} bytes.`,
  );
  state.delete('optimizer.0');
  expect(() => setup.trainer.restoreState(state)).toThrow(/its checkpoint holds nothing of optimizer\.0/);
  expect(() => setup.trainer.restoreState(state)).toThrow(StateLayoutError);
  tearDown(setup);
});

test.each(optimizers)('%s: a batch that overflows changes nothing', async (name) => {
  const setup = setUp({ optimizer: defaultOptimizer(name), emaDecay: 0.9 });
  await run(setup, 0, 1);
  const before = structuredClone(await setup.trainer.readState());
  const good = batchOf(1, 1);
  const bad = { ...good, target: good.target.map((value, i) => (i === 7 ? Infinity : value)) };
  const result = await setup.trainer.step([bad], 1e-2);
  expect(result.applied).toBe(false);
  expect(result.loss).toBe(Infinity);
  expect(await setup.trainer.readState()).toEqual(before);
  expect((await setup.trainer.step([good], 1e-2)).applied).toBe(true);
  expect(setup.trainer.steps).toBe(2);
  tearDown(setup);
});

test('two accumulated batches equal one of both', async () => {
  const apart = setUp();
  const first = await apart.trainer.step([batchOf(0, 1), batchOf(1, 1)], 1e-3);
  tearDown(apart);
  const whole = setUp();
  const second = await whole.trainer.step([batchOf(0, 2)], 1e-3);
  expectClose([first.loss, first.gradientNorm], [second.loss, second.gradientNorm], 1e-5);
  expectClose(first.exampleLosses.flat(), second.exampleLosses.flat(), 1e-5);
  expect(first.losses).toHaveLength(2);
  expect(first.predictions.map((p) => p.length)).toEqual([256, 256]);
  tearDown(whole);
});

test('the average follows the weights, and only f sees it', async () => {
  const setup = setUp({ emaDecay: 0.5 });
  await run(setup, 0, 1);
  const first = await values(setup);
  expectClose(await setup.trainer.withAverage(() => values(setup)), first, 1e-6);
  await run(setup, 1, 2);
  const trained = await values(setup);
  // The first step begins the average, the second's decay is 2 / 11.
  const expected = trained.map((value, i) => (2 * first[i]! + 9 * value) / 11);
  expectClose(await setup.trainer.withAverage(() => values(setup)), expected, 1e-6);
  expect(await values(setup)).toEqual(trained);
  tearDown(setup);
});

test('validation gives the losses of the next step, and changes nothing', async () => {
  const setup = setUp();
  const before = await values(setup);
  const losses = await setup.trainer.validationLoss(batchOf(3, 2));
  expect(await setup.trainer.validationLoss(batchOf(3, 2))).toEqual(losses);
  expect(await values(setup)).toEqual(before);
  expect((await setup.trainer.step([batchOf(3, 2)], 1e-3)).exampleLosses).toEqual([losses]);
  tearDown(setup);
});

test('masks and weights: zeros teach nothing, halves halve', async () => {
  const setup = setUp({ maskedLoss: true });
  const whole = await setup.trainer.step([batchOf(0, 1)], 0);
  const masked = await setup.trainer.step([batchOf(0, 1, { mask: new Float32Array(64) })], 0);
  const half = await setup.trainer.step([batchOf(0, 1, { weights: Float32Array.of(0.5) })], 0);
  expect(masked.loss).toBe(0);
  expect(masked.gradientNorm).toBe(0);
  expect(half.loss).toBeCloseTo(whole.loss / 2, 6);
  expect(half.gradientNorm / whole.gradientNorm).toBeCloseTo(0.5, 5);
  expect(half.exampleLosses).toEqual(whole.exampleLosses);
  tearDown(setup);
});

test('the Huber loss is below the squared one, and has its gradient', async () => {
  const batch = batchOf(0, 2, { deltas: Float32Array.of(0.1, 0.1) });
  const squared = setUp();
  const first = await squared.trainer.step([batch], 0);
  tearDown(squared);
  const setup = setUp({ loss: { kind: 'huber', huberDelta: 0.1, huberSchedule: 'constant' } });
  const second = await setup.trainer.step([batch], 0);
  expect(second.loss).toBeGreaterThan(0);
  expect(second.loss).toBeLessThan(first.loss / 2);
  expect(second.gradientNorm).toBeGreaterThan(0);
  expect(second.gradientNorm).toBeLessThan(first.gradientNorm / 2);
  tearDown(setup);
});

test('a factor of 0 freezes', async () => {
  const setup = setUp({}, 0);
  const before = await values(setup);
  await run(setup, 0, 1);
  expect(await values(setup)).toEqual(before);
  tearDown(setup);
});

test('gradients are clipped to their largest norm', async () => {
  // The first step of Adam is the same for gradients ten times as small; its moments are not.
  const free = setUp();
  const { gradientNorm } = await free.trainer.step([batchOf(0, 1)], 1e-3);
  const state = await free.trainer.readState();
  tearDown(free);
  const bound = setUp({ maxGradNorm: gradientNorm / 10 });
  const result = await bound.trainer.step([batchOf(0, 1)], 1e-3);
  expect(result.gradientNorm).toBe(gradientNorm);
  const floats = (of: typeof state): Float32Array =>
    new Float32Array((of.get('optimizer.0') as Uint8Array<ArrayBuffer>).slice().buffer);
  const [m, small] = [floats(state), floats(await bound.trainer.readState())];
  // m, v, m, v ...: a tenth and a hundredth.
  const largest = m.reduce((best, value, i) => (i % 2 === 0 && Math.abs(value) > Math.abs(m[best]!) ? i : best), 0);
  expect(small[largest]! / m[largest]!).toBeCloseTo(0.1, 3);
  expect(small[largest + 1]! / m[largest + 1]!).toBeCloseTo(0.01, 4);
  tearDown(bound);
});

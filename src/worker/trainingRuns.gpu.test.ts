// Plan: a GPU that refuses what goes beyond so many bytes. What the preflight says that a run needs is enough for it. With less, but more than a
// batch of 1 needs, the preflight says so
// and proposes what is cheaper; a run goes on with smaller batches and accumulation, says it in its log, keeps it with its options, and
// learns what a run learns that was begun so; where even the last resort does not fit, it fails and says why.
import 'fake-indexeddb/auto';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { type Miniature, writeMiniature } from '../../tools/miniature.ts';
import { defaultTrainOptions, type TrainOptions } from '../core/trainOptions.ts';
import { runtime, stopRuntime } from '../gpu/runtime.ts';
import { DatasetStore } from '../storage/datasetStore.ts';
import { QueueStore } from '../storage/queueStore.ts';
import { RunStore } from '../storage/runStore.ts';
import { freshDatabase } from '../storage/testing.ts';
import { GpuSession } from './gpuSession.ts';
import type { LoraSources } from './loraSources.ts';
import type { Models } from './models.ts';
import type { PreflightReport, TrainRequest } from './protocol.ts';
import { RunChannel } from './runChannel.ts';
import { RunLock } from './runLock.ts';
import { fakeLocks } from './testing.ts';
import type * as TrainingImages from './trainingImages.ts';
import { TrainingRuns } from './trainingRuns.ts';

const ids = Array.from({ length: 8 }, (_, i) => `image-${i}`);

// Decoding needs a browser.
vi.mock('./trainingImages.ts', async (importOriginal) => ({
  ...(await importOriginal<typeof TrainingImages>()),
  trainingImages: async (request: TrainRequest) =>
    request.images.map((image) => ({
      ...image,
      pixels: async () => ({
        width: 16,
        height: 16,
        data: new Uint8Array(16 * 16 * 3).map((_, i) => (i * (3 + ids.indexOf(image.id))) % 251),
      }),
    })),
}));

/** Bytes that the GPU has for buffers. */
let room = Infinity;
let miniature: Miniature;
let gpuSession: GpuSession;
let training: TrainingRuns;
let runs: RunStore;
const { signal } = new AbortController();

beforeAll(async () => {
  const { gpu } = navigator;
  const limited = { requestAdapter: async () => limitedAdapter(await gpu.requestAdapter()) };
  Object.defineProperty(navigator, 'gpu', { value: limited, configurable: true });
  miniature = await writeMiniature();
  const models = { openTree: async () => miniature.tree } as unknown as Models;
  const database = freshDatabase();
  runs = new RunStore(database);
  const lock = new RunLock(fakeLocks());
  const channel = new RunChannel({ channel: undefined, lock, emit: () => {}, onQueue: () => {} });
  gpuSession = new GpuSession(models, () => {});
  training = new TrainingRuns({
    gpu: gpuSession,
    models,
    dataset: new DatasetStore(freshDatabase()),
    runs,
    queue: new QueueStore(database),
    lock,
    channel,
    sources: {} as LoraSources,
  });
});

afterAll(async () => {
  stopRuntime();
  await miniature.remove();
});

/** An adapter whose devices report that memory is short once their buffers take more than `room`. */
function limitedAdapter(adapter: GPUAdapter | null): GPUAdapter | null {
  if (!adapter) return null;
  const requestDevice = async (descriptor?: GPUDeviceDescriptor): Promise<GPUDevice> => {
    const device = await adapter.requestDevice(descriptor);
    let live = 0;
    let report: (event: unknown) => void = () => {};
    device.addEventListener = (_type: string, listener: unknown) => {
      report = listener as typeof report;
    };
    const createBuffer = device.createBuffer.bind(device);
    device.createBuffer = (wanted) => {
      const buffer = createBuffer(wanted);
      live += wanted.size;
      if (live > room) report({ preventDefault: () => {}, error: new GPUOutOfMemoryError('the buffer does not fit') });
      const destroy = buffer.destroy.bind(buffer);
      let alive = true;
      buffer.destroy = () => {
        if (alive) live -= wanted.size;
        alive = false;
        return destroy();
      };
      return buffer;
    };
    return device;
  };
  return new Proxy(adapter, {
    get: (target, name) => {
      if (name === 'requestDevice') return requestDevice;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

function requestFor(changes: Partial<TrainOptions>): TrainRequest {
  return {
    modelId: 'miniature',
    name: 'short of memory',
    triggerWord: 'sks',
    images: ids.map((id) => ({ id, caption: id })),
    options: {
      ...defaultTrainOptions,
      resolution: 16,
      rank: 2,
      alpha: 2,
      learningRate: 1e-3,
      trainBatchSize: 8,
      maxTrainSteps: 3,
      // It would be given up before all else.
      activationMemory: 0,
      ...changes,
    },
  };
}

async function peakOf(changes: Partial<TrainOptions>): Promise<number> {
  // A device of its own, so that nothing is left of the one before.
  await gpuSession.reopen();
  const report: PreflightReport = await training.preflight(requestFor(changes), signal);
  expect(report).toMatchObject({ problem: null, proposals: [] });
  return report.gpuPeakBytes ?? 0;
}

test('what does not fit is proposed and done with smaller batches, to the same end', async () => {
  const [large, least] = [await peakOf({}), await peakOf({ trainBatchSize: 1, gradientAccumulationSteps: 8 })];
  expect(least).toBeLessThan(0.9 * large);

  // What it says is enough, to the hundredth, for the whole run, samples included.
  const withSamples = {
    samplePrompts: [{ prompt: 'a', seed: 1, width: 32, height: 32 }],
    sampleEvery: 2,
    sampleInferenceSteps: 2,
  };
  room = 1.01 * (await peakOf(withSamples));
  expect(room).toBeGreaterThan(large);
  await gpuSession.reopen();
  const { events = [] } = await training.start(requestFor(withSamples), signal);
  expect(events.map(({ kind }) => kind)).toEqual(['started', 'needs', 'finished']);

  await gpuSession.reopen();
  room = 0.9 * large;
  const report = await training.preflight(requestFor({}), signal);
  expect(report.problem).toMatch(/^The GPU ran out of memory while \d+ MiB were in use: the buffer does not fit$/);
  expect(report.proposals[0]).toMatchObject({
    label: 'Train with batches of 4, the gradients of 2 averaged: the same steps, a little slower',
    changes: { trainBatchSize: 4, gradientAccumulationSteps: 2 },
  });

  const run = await training.start(requestFor({}), signal);
  expect(run.losses).toHaveLength(3);
  const { trainBatchSize, gradientAccumulationSteps } = run.options;
  expect(trainBatchSize).toBeLessThan(8);
  expect(trainBatchSize * gradientAccumulationSteps).toBe(8);
  const told = (run.events ?? []).filter(({ kind }) => kind === 'fell-back').map(({ text }) => text);
  expect(told[0]).toContain(
    'Going on with batches of 4, the gradients of 2 averaged: the same steps, a little slower.',
  );
  expect(told).toHaveLength(Math.log2(8 / trainBatchSize));
  expect((await runs.request(run.id))?.options).toEqual(run.options);

  room = Infinity;
  const begunSo = await training.start(requestFor({ trainBatchSize, gradientAccumulationSteps }), signal);
  expect(run.losses).toEqual(begunSo.losses);
});

test('where nothing helps, it fails, and the last resort was 8-bit weights', async () => {
  room = 1e5;
  await expect(training.start(requestFor({}), signal)).rejects.toMatchObject({ code: 'gpu-out-of-memory' });
  room = Infinity;
  // And leaves nothing on the GPU.
  expect(await gpuSession.train(async () => runtime().counters.liveBytes)).toBeLessThan(1000);
});

test('what sizes rule out is refused at once, and what may fit is proposed', async () => {
  await gpuSession.reopen();
  const { device } = runtime();
  const limits = new Proxy(device.limits, {
    get: (target, name): unknown =>
      name === 'maxStorageBufferBindingSize' ? 1 << 16 : Reflect.get(target, name, target),
  });
  Object.defineProperty(device, 'limits', { value: limits });
  const { dispatches } = runtime().counters;
  const report = await training.preflight(requestFor({}), signal);
  expect(report).toMatchObject({
    problem: 'A step needs 131.1 kB in one buffer, and this GPU allows 65.5 kB.',
    gpuPeakBytes: null,
    msPerStep: 0,
    proposals: [{ changes: { trainBatchSize: 4, gradientAccumulationSteps: 2 } }],
  });
  expect(runtime().counters.dispatches).toBe(dispatches);
  // A run that is begun all the same does it in that way.
  const { options, events = [] } = await training.start(requestFor({ maxTrainSteps: 1 }), signal);
  expect(options).toMatchObject({ trainBatchSize: 4, gradientAccumulationSteps: 2 });
  expect(events.find(({ kind }) => kind === 'fell-back')?.text).toMatch(
    /needs \d+ for maxStorageBufferBindingSize, but this GPU allows 65536\. Going on with batches of 4/,
  );
});

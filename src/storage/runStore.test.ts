/**
 * Plan: state, request and weights come back as saved; checkpoints: those to keep, those of an abandoned course, a write that dies half-way;
 * renaming and deleting survive a later save; undo; sample rows; errors.
 */
import 'fake-indexeddb/auto';
import { expect, test } from 'vitest';
import { defaultTrainOptions } from '../core/trainOptions.ts';
import type { SampleRow, StoredRun } from '../worker/protocol.ts';
import { RunStore } from './runStore.ts';
import { dieAtPut, fixedStorage, freshDatabase } from './testing.ts';

function run(id: string, startedAt = 1): StoredRun {
  return {
    id,
    name: `run ${id}`,
    modelId: 'a/b',
    triggerWord: 'sks',
    startedAt,
    finishedAt: null,
    globalStep: 2,
    imageCount: 6,
    losses: [0.5, 0.25],
    options: {
      ...defaultTrainOptions,
      resolution: 512,
      rank: 4,
      alpha: 4,
      learningRate: 1e-4,
      maxTrainSteps: 600,
      trainBatchSize: 2,
      seed: 42,
      flipProbability: 0.5,
      sampleEvery: 100,
      samplePrompts: [{ prompt: 'a cat', seed: 1 }],
      sampleInferenceSteps: 20,
      sampleGuidanceScale: 7.5,
    },
  };
}

function row(runId: string, globalStep: number): SampleRow {
  return { runId, globalStep, images: [{ prompt: 'a cat', seed: 1, png: new Blob([`png ${globalStep}`]) }] };
}

const bytes = (text: string) => new TextEncoder().encode(text);
const text = (data: Uint8Array | undefined) => data && new TextDecoder().decode(data);
const keepAll = (steps: readonly number[]) => steps;

function checkpoint(globalStep: number, keep: (steps: readonly number[]) => readonly number[] = keepAll) {
  return { globalStep, state: bytes(`state ${globalStep}`), keep };
}

test('a run comes back as saved, with its request, adapter and checkpoint, from another page too', async () => {
  const options = freshDatabase();
  const adapter = new Uint8Array([1, 2, 3]);
  const { modelId, name, triggerWord, options: trained } = run('a');
  const asked = { modelId, name, triggerWord, images: [{ id: 'i', caption: 'a cat' }], options: trained };
  await new RunStore(options).save(run('a'), { adapter, checkpoint: checkpoint(2), request: asked });

  const store = new RunStore(options);
  expect(await store.get('a')).toEqual(run('a'));
  expect(await store.request('a')).toEqual(asked);
  expect(await store.adapter('a')).toEqual(adapter);
  expect(text(await store.checkpoint('a', 2))).toBe('state 2');
  expect(await store.checkpoints('a')).toMatchObject([{ globalStep: 2, bytes: 'state 2'.length + 3 }]);

  await store.save({ ...run('a'), finishedAt: 9 });
  expect((await store.get('a')).finishedAt).toBe(9);
  expect(await store.adapter('a')).toEqual(adapter);
  expect(text(await store.checkpoint('a', 2))).toBe('state 2');

  await store.discard('a');
  await expect(store.get('a')).rejects.toMatchObject({ code: 'run-not-stored' });
  expect([await store.request('a'), await store.checkpoints('a')]).toEqual([undefined, []]);
});

test('the checkpoints that are kept are those that the newest one’s writer names, and none of later steps', async () => {
  const store = new RunStore(freshDatabase());
  const steps = async () => (await store.checkpoints('a')).map(({ globalStep }) => globalStep);
  for (const step of [0, 10, 20, 30]) await store.save(run('a'), { checkpoint: checkpoint(step) });
  expect(await steps()).toEqual([0, 10, 20, 30]);
  await store.save(run('a'), { checkpoint: checkpoint(40, (all) => all.slice(-2)) });
  expect(await steps()).toEqual([30, 40]);
  // The run was rolled back: what came after step 30 is another course.
  await store.save(run('a'), { checkpoint: { ...checkpoint(30), state: bytes('half the rate') } });
  expect(await steps()).toEqual([30]);
  expect(text(await store.checkpoint('a', 30))).toBe('half the rate');
});

test.each([1, 2, 3, 4])('a write that dies at its record %i leaves all that was there', async (fatal) => {
  const store = new RunStore(freshDatabase());
  const adapter = new Uint8Array([1]);
  await store.save(run('a'), { adapter, checkpoint: checkpoint(10) });
  const death = dieAtPut(fatal);
  try {
    const later = { ...run('a'), globalStep: 20 };
    const record = await store.record('a');
    const parts = { adapter: new Uint8Array([2]), record, checkpoint: checkpoint(20, (all) => all.slice(-1)) };
    await store.save(later, parts).catch(() => undefined);
  } finally {
    death.undo();
  }
  expect(death.puts()).toBeGreaterThanOrEqual(fatal);
  expect((await store.get('a')).globalStep).toBe(run('a').globalStep);
  expect(await store.adapter('a')).toEqual(adapter);
  expect((await store.checkpoints('a')).map(({ globalStep }) => globalStep)).toEqual([10]);
  expect(text(await store.checkpoint('a', 10))).toBe('state 10');
});

test('the latest run is listed first', async () => {
  const store = new RunStore(freshDatabase());
  for (const [id, startedAt] of [
    ['a', 1],
    ['c', 3],
    ['b', 2],
  ] as const) {
    await store.save(run(id, startedAt));
  }
  expect((await store.list()).map(({ id }) => id)).toEqual(['c', 'b', 'a']);
});

test('a run that trains on keeps the name that the person gave it, and stays deleted', async () => {
  const store = new RunStore(freshDatabase());
  await store.save(run('a'));
  await store.rename('a', 'My cat');
  await store.save({ ...run('a'), globalStep: 3 });
  expect(await store.get('a')).toMatchObject({ name: 'My cat', globalStep: 3 });

  await store.remove('a', 1000);
  await store.save({ ...run('a'), globalStep: 4 });
  expect(await store.list()).toEqual([]);
  await store.restore('a');
  expect(await store.list()).toMatchObject([{ name: 'My cat', globalStep: 4 }]);
});

test('purging deletes all of a removed run and nothing of another', async () => {
  const store = new RunStore(freshDatabase());
  for (const id of ['a', 'b']) {
    await store.save(run(id), { adapter: new Uint8Array([1]), checkpoint: checkpoint(2) });
    await store.addSample(row(id, 100));
  }
  await store.remove('a', 1000);
  await store.purgeRemoved(1000);
  await store.get('a');
  await store.purgeRemoved(1001);
  await expect(store.restore('a')).rejects.toMatchObject({ code: 'run-not-stored' });
  await expect(store.adapter('a')).rejects.toMatchObject({ code: 'adapter-not-stored' });
  expect([await store.checkpoints('a'), await store.samples('a')]).toEqual([[], []]);
  expect([await store.adapter('b'), (await store.samples('b')).length]).toEqual([new Uint8Array([1]), 1]);
});

test('sample rows come by step, a repeated step once', async () => {
  const store = new RunStore(freshDatabase());
  for (const step of [1000, 0, 200, 200]) await store.addSample(row('a', step));
  const rows = await store.samples('a');
  expect(rows.map(({ globalStep }) => globalStep)).toEqual([0, 200, 1000]);
  expect(await rows[1]?.images[0]?.png.text()).toBe('png 200');
});

test('unknown runs and missing adapters are named', async () => {
  const store = new RunStore(freshDatabase());
  await expect(store.rename('x', 'y')).rejects.toMatchObject({
    message: 'The run x is not in this browser.',
    remedy: 'Reload the page: another tab may have deleted it.',
  });
  await expect(store.adapter('x')).rejects.toMatchObject({
    message: 'The run x has no trained adapter yet.',
    remedy: 'Train at least one step, or choose another run.',
  });
});

test('a checkpoint that does not fit is refused and the saved state stays', async () => {
  const options = freshDatabase();
  await new RunStore(options).save(run('a'), { checkpoint: checkpoint(2) });
  const full = new RunStore({ ...options, storage: fixedStorage(100, 90) });
  const later = { ...run('a'), globalStep: 3 };
  await expect(
    full.save(later, { checkpoint: { ...checkpoint(3), state: bytes('a larger state') } }),
  ).rejects.toMatchObject({
    code: 'storage-quota',
    needed: 14,
    available: 10,
  });
  expect((await full.get('a')).globalStep).toBe(2);
});

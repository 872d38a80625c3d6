/**
 * Plan: first in, first out; moving and removing; a run is taken out as it is written and put back as it is deleted, all or nothing, and
 * two tabs never take the same.
 */
import 'fake-indexeddb/auto';
import { expect, test } from 'vitest';
import { defaultTrainOptions } from '../core/trainOptions.ts';
import type { StoredRun, TrainRequest } from '../worker/protocol.ts';
import { QueueStore } from './queueStore.ts';
import { RunStore } from './runStore.ts';
import { dieAtPut, freshDatabase } from './testing.ts';

function asked(name: string): TrainRequest {
  return { modelId: 'a/b', name, triggerWord: '', images: [], options: defaultTrainOptions };
}

const names = async (store: QueueStore) => (await store.list()).map(({ request }) => request.name);

function storedRun(id: string, name: string): StoredRun {
  const { modelId, triggerWord, images, options } = asked(name);
  const common = { id, name, modelId, triggerWord, options, imageCount: images.length };
  return { ...common, startedAt: 1, finishedAt: null, globalStep: 0, losses: [] };
}

test('first in, first out, from another page too', async () => {
  const options = freshDatabase();
  const [store, runs] = [new QueueStore(options), new RunStore(options)];
  for (const name of ['a', 'b', 'c']) await store.add(asked(name));
  expect(await names(new QueueStore(options))).toEqual(['a', 'b', 'c']);
  const [next] = await store.list();
  await runs.save(storedRun('1', 'a'), { request: next!.request, fromQueue: next! });
  expect(await names(store)).toEqual(['b', 'c']);
  await store.add(asked('d'));
  expect((await store.list()).map(({ request }) => request)).toEqual(['b', 'c', 'd'].map(asked));
  expect((await runs.list()).map(({ name }) => name)).toEqual(['a']);
});

test('runs are moved and taken out', async () => {
  const store = new QueueStore(freshDatabase());
  for (const name of ['a', 'b', 'c', 'd']) await store.add(asked(name));
  const id = async (name: string) => (await store.list()).find(({ request }) => request.name === name)?.id ?? '';
  await store.move(await id('c'), 0);
  expect(await names(store)).toEqual(['c', 'a', 'b', 'd']);
  await store.move(await id('c'), 2);
  expect(await names(store)).toEqual(['a', 'b', 'c', 'd']);
  await store.move(await id('a'), 99);
  expect(await names(store)).toEqual(['b', 'c', 'd', 'a']);
  await store.remove(await id('c'));
  await store.remove('unknown');
  await store.move('unknown', 0);
  expect(await names(store)).toEqual(['b', 'd', 'a']);
});

test('what failed to begin is in front again, or gone, as it is wished', async () => {
  const options = freshDatabase();
  const [store, runs] = [new QueueStore(options), new RunStore(options)];
  for (const name of ['a', 'b', 'c']) await store.add(asked(name));
  const [a, b] = await store.list();
  await runs.save(storedRun('1', 'a'), { fromQueue: a! });
  await runs.discard('1', a);
  expect(await names(store)).toEqual(['a', 'b', 'c']);
  await runs.save(storedRun('2', 'a'), { fromQueue: a! });
  await runs.save(storedRun('3', 'b'), { fromQueue: b! });
  await runs.discard('3', b);
  await runs.discard('2', a);
  expect((await store.list()).slice(0, 2)).toEqual([a, b]);
  await runs.save(storedRun('4', 'a'), { fromQueue: a! });
  await runs.discard('4');
  expect(await names(store)).toEqual(['b', 'c']);
  expect(await runs.list()).toEqual([]);
});

test('a browser that dies while a run is taken or put back loses it nowhere', async () => {
  const options = freshDatabase();
  const [store, runs] = [new QueueStore(options), new RunStore(options)];
  for (const name of ['a', 'b']) await store.add(asked(name));
  const [a] = await store.list();
  const dying = async (write: () => Promise<void>): Promise<void> => {
    const death = dieAtPut(1);
    await write().catch(() => undefined);
    death.undo();
    expect(death.puts()).toBe(1);
  };
  await dying(() => runs.save(storedRun('1', 'a'), { fromQueue: a! }));
  expect([await names(store), await runs.list()]).toEqual([['a', 'b'], []]);
  await runs.save(storedRun('1', 'a'), { fromQueue: a! });
  await dying(() => runs.discard('1', a));
  expect([await names(store), (await runs.list()).map(({ id }) => id)]).toEqual([['b'], ['1']]);
});

test('two tabs that take at once do not take the same run', async () => {
  const options = freshDatabase();
  await new QueueStore(options).add(asked('a'));
  const [next] = await new QueueStore(options).list();
  const taken = await Promise.allSettled(
    ['1', '2'].map((id) => new RunStore(options).save(storedRun(id, 'a'), { fromQueue: next! })),
  );
  expect(taken.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
  expect(taken.find((one) => one.status === 'rejected')?.reason).toMatchObject({
    code: 'queued-run-gone',
    message: '“a” was taken out of the queue before it began.',
  });
  expect(await new RunStore(options).list()).toHaveLength(1);
});

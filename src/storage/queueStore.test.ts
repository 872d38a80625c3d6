/** Plan: first in, first out; moving and removing; two tabs never take the same run; runs of the same database are untouched. */
import 'fake-indexeddb/auto';
import { expect, test } from 'vitest';
import { defaultTrainOptions } from '../core/trainOptions.ts';
import type { TrainRequest } from '../worker/protocol.ts';
import { QueueStore } from './queueStore.ts';
import { RunStore } from './runStore.ts';
import { freshDatabase } from './testing.ts';

function asked(name: string): TrainRequest {
  return { modelId: 'a/b', name, triggerWord: '', images: [], options: defaultTrainOptions };
}

const names = async (store: QueueStore) => (await store.list()).map(({ request }) => request.name);

test('first in, first out, from another page too', async () => {
  const options = freshDatabase();
  const store = new QueueStore(options);
  for (const name of ['a', 'b', 'c']) await store.add(asked(name));
  expect(await names(new QueueStore(options))).toEqual(['a', 'b', 'c']);
  expect((await store.take())?.request.name).toBe('a');
  expect(await names(store)).toEqual(['b', 'c']);
  await store.add(asked('d'));
  for (const name of ['b', 'c', 'd']) expect((await store.take())?.request).toEqual(asked(name));
  expect(await store.take()).toBeUndefined();
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

test('what was taken can be put back in front', async () => {
  const store = new QueueStore(freshDatabase());
  for (const name of ['a', 'b']) await store.add(asked(name));
  const taken = await store.take();
  await store.putBack(taken!);
  expect(await names(store)).toEqual(['a', 'b']);
  expect((await store.take())?.id).toBe(taken!.id);
});

test('two tabs that take at once take different runs', async () => {
  const options = freshDatabase();
  const tabs = [new QueueStore(options), new QueueStore(options)] as const;
  for (const name of ['a', 'b']) await tabs[0].add(asked(name));
  const taken = await Promise.all(tabs.map((tab) => tab.take()));
  expect(new Set(taken.map((run) => run?.request.name))).toEqual(new Set(['a', 'b']));
  expect(await new RunStore(options).list()).toEqual([]);
});

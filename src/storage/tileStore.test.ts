/** Plan: what is saved is loaded again, by device; two tabs; what is saved again is overwritten; not more than some thousands. */
import 'fake-indexeddb/auto';
import { expect, test } from 'vitest';
import { freshDatabase } from './testing.ts';
import { TileStore } from './tileStore.ts';

test('choices are kept by device, from all tabs', async () => {
  const options = freshDatabase();
  const [one, two] = [new TileStore(options), new TileStore(options)];
  expect(await one.load('gpu')).toEqual([]);
  await Promise.all([
    one.save('gpu', [
      ['a', '64x64'],
      ['b', '64x64'],
    ]),
    two.save('gpu', [['c', '128x64']]),
    two.save('gpu 2', [['a', '32x64']]),
  ]);
  await two.save('gpu', [['b', '128x128']]);
  expect(await one.load('gpu')).toEqual([
    ['a', '64x64'],
    ['b', '128x128'],
    ['c', '128x64'],
  ]);
  expect(await one.load('gpu 2')).toEqual([['a', '32x64']]);
});

test('a machine on which shaders and sizes have changed for years starts afresh', async () => {
  const store = new TileStore(freshDatabase());
  const choices = (from: number) => Array.from({ length: 2500 }, (_, i) => [`${from + i}`, '64x64'] as const);
  await store.save('gpu', choices(0));
  await store.save('gpu', choices(2500));
  expect(await store.load('gpu')).toHaveLength(2500);
});

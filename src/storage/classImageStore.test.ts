// Plan: pictures come back in their order, set by set, as many as asked for and only up to the first that is missing; a full disk is said.
import 'fake-indexeddb/auto';
import { expect, test } from 'vitest';
import { ClassImageStore } from './classImageStore.ts';
import { fillDisk, freshDatabase } from './testing.ts';

const texts = async (blobs: readonly Blob[]): Promise<string[]> => Promise.all(blobs.map((blob) => blob.text()));

test('sets apart, in order, up to the first gap', async () => {
  const options = freshDatabase();
  const store = new ClassImageStore(options);
  for (const index of [0, 1, 2, 4]) await store.keep('dogs', index, new Blob([`dog ${index}`]));
  await store.keep('cats', 0, new Blob(['cat']));
  const again = new ClassImageStore(options);
  expect(await texts(await again.load('dogs', 10))).toEqual(['dog 0', 'dog 1', 'dog 2']);
  expect(await texts(await again.load('dogs', 2))).toEqual(['dog 0', 'dog 1']);
  expect(await texts(await again.load('cats', 2))).toEqual(['cat']);
  expect(await again.load('birds', 2)).toEqual([]);
});

test('a full disk', async () => {
  const store = new ClassImageStore(freshDatabase());
  const undo = fillDisk();
  await expect(store.keep('dogs', 0, new Blob(['x']))).rejects.toMatchObject({ code: 'storage-quota' });
  undo();
});

// Plan: files are added, listed, read, renamed, removed, brought back, purged; two kinds do not see each other; adding again replaces.
import 'fake-indexeddb/auto';
import { expect, test } from 'vitest';
import { LibraryFileNotStoredError, LibraryStore } from './libraryStore.ts';
import { freshDatabase } from './testing.ts';

interface Entry {
  readonly id: string;
  readonly addedAt: number;
  readonly name: string;
}
const entry = (id: string, addedAt: number): Entry => ({ id, addedAt, name: id });
const text = async (blob: Blob): Promise<string> => new TextDecoder().decode(await blob.arrayBuffer());

test('files are kept, the latest first, with their bytes', async () => {
  const store = new LibraryStore<Entry>('lora', freshDatabase());
  await store.add(entry('a', 1), new Blob(['aaa']));
  await store.add(entry('b', 2), new Blob(['bbb']));
  expect((await store.list()).map(({ id }) => id)).toEqual(['b', 'a']);
  expect(await text(await store.file('a'))).toBe('aaa');
  await store.change('a', (so) => ({ ...so, name: 'ink' }));
  expect((await store.get('a')).name).toBe('ink');
  await store.add(entry('a', 3), new Blob(['new']));
  expect(await store.list()).toEqual([entry('a', 3), entry('b', 2)]);
  expect(await text(await store.file('a'))).toBe('new');
});

test('what is removed is off the list, can be brought back, and is purged later', async () => {
  const store = new LibraryStore<Entry>('lora', freshDatabase());
  await store.add(entry('a', 1), new Blob(['aaa']));
  await store.add(entry('b', 2), new Blob(['bbb']));
  await store.remove(['a', 'b'], 1000);
  expect(await store.list()).toEqual([]);
  await expect(store.get('a')).rejects.toThrow(LibraryFileNotStoredError);
  expect(await store.restore(['b'])).toEqual([entry('b', 2)]);
  await store.purgeRemoved(999);
  expect(await store.restore(['a'])).toEqual([entry('a', 1)]);
  await store.remove(['a'], 1000);
  await store.purgeRemoved(1001);
  await expect(store.restore(['a'])).rejects.toThrow('The lora file a is not in this browser.');
  await expect(store.file('a')).rejects.toThrow(LibraryFileNotStoredError);
  expect((await store.list()).map(({ id }) => id)).toEqual(['b']);
});

test('kinds do not see each other', async () => {
  const options = freshDatabase();
  const loras = new LibraryStore<Entry>('lora', options);
  const embeddings = new LibraryStore<Entry>('embedding', options);
  await loras.add(entry('a', 1), new Blob(['aaa']));
  expect(await embeddings.list()).toEqual([]);
  await expect(embeddings.get('a')).rejects.toThrow('The embedding file a is not in this browser.');
});

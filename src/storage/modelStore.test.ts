/**
 * Plan: chunks and their arithmetic; a model is invisible until committed; reads across chunks; a new revision reuses what
 * did not change and leaves nothing behind; two tabs; damage and a full disk are typed errors.
 */
import 'fake-indexeddb/auto';
import { afterEach, expect, test } from 'vitest';
import { readText } from '../core/files.ts';
import { chunkCount, chunkRange, type StoredFile } from './modelRecord.ts';
import { ModelStore } from './modelStore.ts';
import { fillDisk, fixedStorage, freshDatabase } from './testing.ts';

const ID = 'someone/some-model';
let undo: (() => void) | undefined;
afterEach(() => {
  undo?.();
  undo = undefined;
});

function file(path: string, text: string, content = `sha256:${text}`): StoredFile {
  return { path, size: text.length, content, chunkBytes: 4 };
}

async function write(store: ModelStore, stored: StoredFile, text: string, id = ID): Promise<void> {
  for (let index = 0; index < chunkCount(stored); index++) {
    const { start, end } = chunkRange(stored, index);
    await store.putChunk(id, stored, index, new Blob([text.slice(start, end)]));
  }
  await store.finishFile(id, stored);
}

test('a file is cut into chunks of which the last is shorter', () => {
  const ten = file('a', '0123456789');
  expect([0, 1, 2].map((index) => chunkRange(ten, index))).toEqual([
    { start: 0, end: 4 },
    { start: 4, end: 8 },
    { start: 8, end: 10 },
  ]);
  expect([chunkCount(ten), chunkCount(file('b', '01234567')), chunkCount(file('c', ''))]).toEqual([3, 2, 0]);
});

test('a model is listed and opened when it is committed, not before', async () => {
  const store = new ModelStore(freshDatabase());
  const weights = file('unet/weights', '0123456789');
  await write(store, weights, '0123456789');
  expect(await store.list()).toEqual([]);
  await expect(store.openTree(ID)).rejects.toMatchObject({
    code: 'model-not-stored',
    message: 'The model someone/some-model is not in this browser.',
    remedy: 'Download it in the Model panel first.',
  });

  const stored = await store.commit(ID, 'c0ffee', [weights], 7);
  expect(stored).toEqual({ id: ID, revision: 'c0ffee', bytes: 10, savedAt: 7 });
  expect(await store.list()).toEqual([stored]);
});

test('ranges are read across chunks', async () => {
  const store = new ModelStore(freshDatabase());
  const [weights, empty] = [file('unet/weights', '0123456789'), file('empty', '')];
  await write(store, weights, '0123456789');
  await write(store, empty, '');
  await store.commit(ID, 'c0ffee', [weights, empty], 7);

  const tree = await store.openTree(ID);
  expect([tree.name, tree.list(), tree.has('empty'), tree.has('full')]).toEqual([
    ID,
    ['empty', 'unet/weights'],
    true,
    false,
  ]);
  const source = await tree.open('unet/weights');
  for (let start = 0; start <= 10; start++) {
    for (let end = start; end <= 10; end++) {
      expect(new TextDecoder().decode(await source.read(start, end))).toBe('0123456789'.slice(start, end));
    }
  }
  expect(await readText(await tree.open('empty'))).toBe('');
  await expect(source.read(3, 11)).rejects.toThrow('unet/weights: bytes 3 to 11 of 10');
  await expect(tree.open('full')).rejects.toMatchObject({
    code: 'stored-file-not-found',
    message: 'The model someone/some-model has no file full.',
  });
});

test('a model cannot be committed before its files are finished, nor a file before its chunks', async () => {
  const store = new ModelStore(freshDatabase());
  const weights = file('unet/weights', '0123456789');
  await store.putChunk(ID, weights, 0, new Blob(['0123']));
  await expect(store.finishFile(ID, weights)).rejects.toThrow('A file was finished before its chunks');
  await expect(store.commit(ID, 'c0ffee', [weights], 7)).rejects.toThrow('A model was committed before its files');
  await expect(store.putChunk(ID, weights, 1, new Blob(['45']))).rejects.toThrow('A chunk has the wrong length');
  expect(await store.list()).toEqual([]);
  expect(await store.parts(ID, weights)).toEqual({ complete: false, chunks: new Set([0]) });
});

test('a new revision keeps what did not change and leaves nothing of the old one behind', async () => {
  const store = new ModelStore(freshDatabase());
  const [same, old, young] = [file('vae', 'same'), file('unet', 'old weights'), file('unet', 'new weights')];
  await write(store, same, 'same');
  await write(store, old, 'old weights');
  await store.commit(ID, 'one', [same, old], 1);
  await write(store, young, 'new weights');
  expect(await readText(await (await store.openTree(ID)).open('unet'))).toBe('old weights');

  await store.commit(ID, 'two', [same, young], 2);
  expect(await readText(await (await store.openTree(ID)).open('unet'))).toBe('new weights');
  expect(await readText(await (await store.openTree(ID)).open('vae'))).toBe('same');
  expect(await store.parts(ID, old)).toEqual({ complete: false, chunks: new Set() });
});

test('deleting one model leaves the others, whose names may begin alike', async () => {
  const store = new ModelStore(freshDatabase());
  const weights = file('unet', 'weights');
  for (const id of ['a/b', 'a/b-2', 'a']) {
    await write(store, weights, 'weights', id);
    await store.commit(id, 'one', [weights], 1);
  }
  await store.delete('a/b');
  expect((await store.list()).map((model) => model.id)).toEqual(['a', 'a/b-2']);
  expect((await store.parts('a/b', weights)).chunks.size).toBe(0);
  expect(await readText(await (await store.openTree('a/b-2')).open('unet'))).toBe('weights');
});

test('two tabs that write the same model at once end with a whole one', async () => {
  const options = freshDatabase();
  const tabs = [new ModelStore(options), new ModelStore(options)];
  const weights = file('unet', '0123456789');
  await Promise.all(
    tabs.map(async (tab, index) => {
      await write(tab, weights, '0123456789');
      await tab.commit(ID, 'one', [weights], index);
    }),
  );
  expect(await readText(await (await new ModelStore(options).openTree(ID)).open('unet'))).toBe('0123456789');
});

test('a chunk that has gone is named', async () => {
  const store = new ModelStore(freshDatabase());
  const weights = file('unet', '0123456789');
  await write(store, weights, '0123456789');
  await store.commit(ID, 'one', [weights], 1);
  await store.dropFile(ID, weights);
  const source = await (await store.openTree(ID)).open('unet');
  await expect(source.read(0, 2)).rejects.toMatchObject({
    code: 'stored-file-damaged',
    message: "A part of unet of the model someone/some-model can no longer be read from this browser's storage.",
    remedy: 'Delete the model and download it again.',
  });
});

test('no room, by the estimate and by a failing write', async () => {
  const store = new ModelStore(freshDatabase(fixedStorage(1_000_000_000, 400_000_000)));
  await store.ensureRoom(600_000_000);
  await expect(store.ensureRoom(1_720_000_000)).rejects.toMatchObject({
    code: 'storage-quota',
    message: "There is no room for 1.7 GB in this browser's storage: 600.0 MB is free.",
    remedy: 'Delete models or runs that you no longer need, or free space on the disk, then try again.',
    facts: { needed: 1_720_000_000, available: 600_000_000 },
  });

  undo = fillDisk();
  await expect(store.putChunk(ID, file('unet', '0123'), 0, new Blob(['0123']))).rejects.toMatchObject({
    code: 'storage-quota',
    needed: 4,
    available: 600_000_000,
  });
});

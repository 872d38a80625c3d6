/** Plan: order, captions, other changes, records of older versions, soft removal and its undo, purging; two tabs; unknown ids; a full disk takes nothing in. */
import 'fake-indexeddb/auto';
import { afterEach, expect, test } from 'vitest';
import { DatasetStore, type NewDatasetImage } from './datasetStore.ts';
import { Records } from './records.ts';
import { fillDisk, fixedStorage, freshDatabase } from './testing.ts';

let undo: (() => void) | undefined;
afterEach(() => {
  undo?.();
  undo = undefined;
});

function image(fileName: string): NewDatasetImage {
  return {
    fileName,
    width: 640,
    height: 480,
    caption: `a ${fileName}`,
    original: new Blob([`original ${fileName}`], { type: 'image/png' }),
    thumbnail: new Blob([`thumbnail ${fileName}`], { type: 'image/webp' }),
  };
}

const names = async (store: DatasetStore) => (await store.list()).map(({ fileName }) => fileName);

test('images come back in the order in which they were added, from another page too', async () => {
  const options = freshDatabase();
  const added = await new DatasetStore(options).add([image('b.png'), image('a.png')]);
  const store = new DatasetStore(options);
  await store.add([image('c.png')]);

  const [first] = await store.list();
  expect(await names(store)).toEqual(['b.png', 'a.png', 'c.png']);
  expect(first).toMatchObject({ id: added[0]?.id, width: 640, height: 480, caption: 'a b.png' });
  expect(await first?.thumbnail.text()).toBe('thumbnail b.png');
  expect(await (await store.original(first?.id ?? '')).text()).toBe('original b.png');
});

test('removed images are gone until restored, in their old places', async () => {
  const options = freshDatabase();
  const store = new DatasetStore(options);
  const masked = { ...image('a.png'), mask: new Blob(['mask']) };
  const ids = (await store.add([masked, image('b.png'), image('c.png')])).map(({ id }) => id);
  const maskKeys = () => new Records(options.database ?? '').keysUnder(['mask']);
  await store.remove([ids[0] ?? '', ids[1] ?? '', 'unknown'], 1000);
  expect(await names(store)).toEqual(['c.png']);

  expect((await store.restore([ids[1] ?? ''])).map(({ fileName }) => fileName)).toEqual(['b.png']);
  expect(await names(store)).toEqual(['b.png', 'c.png']);

  await store.purgeRemoved(1000);
  await store.restore([ids[0] ?? '']);
  await store.remove([ids[0] ?? ''], 1000);
  expect(await maskKeys()).toEqual([['mask', ids[0]]]);
  await store.purgeRemoved(1001);
  expect(await maskKeys()).toEqual([]);
  await expect(store.restore([ids[0] ?? ''])).rejects.toMatchObject({ code: 'image-not-stored' });
  await expect(store.original(ids[0] ?? '')).rejects.toMatchObject({ code: 'image-not-stored' });
  expect(await names(store)).toEqual(['b.png', 'c.png']);
});

test('captions change one at a time, in two tabs at once', async () => {
  const options = freshDatabase();
  const tabs = [new DatasetStore(options), new DatasetStore(options)] as const;
  const ids = (await tabs[0].add([image('a.png'), image('b.png')])).map(({ id }) => id);
  await Promise.all([
    tabs[0].update([{ id: ids[0] ?? '', caption: 'one' }]),
    tabs[1].update([{ id: ids[1] ?? '', caption: '' }]),
  ]);
  expect((await tabs[0].list()).map(({ caption }) => caption)).toEqual(['one', '']);
  await expect(tabs[0].update([{ id: 'unknown', caption: 'x' }])).rejects.toMatchObject({
    code: 'image-not-stored',
    message: 'The training image unknown is no longer in this browser.',
    remedy: 'Add the image again.',
  });
});

test('crop, repeats, mask and the rest are kept; a mask can be taken away', async () => {
  const options = freshDatabase();
  const store = new DatasetStore(options);
  const [added] = await store.add([{ ...image('a.png'), repeats: 10, contentHash: 'abc', mask: new Blob(['m']) }]);
  const id = added?.id ?? '';
  expect(added).toMatchObject({ repeats: 10, contentHash: 'abc', crop: null, heldOut: false, hasAlpha: false });
  expect(await added?.mask?.text()).toBe('m');
  await store.update([{ id, crop: { x: 0.2, y: 0.3, zoom: 2 }, heldOut: true, mask: new Blob(['other']) }]);
  const [changed] = await new DatasetStore(options).list();
  expect(changed).toMatchObject({ repeats: 10, crop: { x: 0.2, y: 0.3, zoom: 2 }, heldOut: true, caption: 'a a.png' });
  expect(await changed?.mask?.text()).toBe('other');
  await store.update([{ id, mask: null, crop: null }]);
  expect(await store.get(id)).toMatchObject({ crop: null, mask: null });
});

test('of several changes all are made or none', async () => {
  const store = new DatasetStore(freshDatabase());
  const [a] = await store.add([image('a.png')]);
  const changes = [
    { id: a?.id ?? '', caption: 'new' },
    { id: 'unknown', caption: 'new' },
  ];
  await expect(store.update(changes)).rejects.toMatchObject({ code: 'image-not-stored' });
  expect((await store.list()).map(({ caption }) => caption)).toEqual(['a a.png']);
});

test('records of older versions are read with what they lack', async () => {
  const options = freshDatabase();
  const old = { id: 'old', fileName: 'old.png', width: 8, height: 8, caption: 'old', order: 0, removedAt: null };
  const records = new Records(options.database ?? '');
  await records.put([
    [['meta', 'old'], old],
    [['thumbnail', 'old'], new Blob(['t'])],
    [['original', 'old'], new Blob(['o'])],
  ]);
  expect(await new DatasetStore(options).list()).toMatchObject([
    { id: 'old', caption: 'old', repeats: null, crop: null, heldOut: false, contentHash: '', mask: null },
  ]);
});

test('two tabs that add at once both keep their images', async () => {
  const options = freshDatabase();
  await Promise.all([new DatasetStore(options).add([image('a.png')]), new DatasetStore(options).add([image('b.png')])]);
  expect((await names(new DatasetStore(options))).sort()).toEqual(['a.png', 'b.png']);
});

test('what does not fit is not taken in, not even in part', async () => {
  const small = new DatasetStore(freshDatabase(fixedStorage(10)));
  await expect(small.add([image('a.png')])).rejects.toMatchObject({ code: 'storage-quota', available: 10 });

  const store = new DatasetStore(freshDatabase());
  undo = fillDisk();
  await expect(store.add([image('a.png')])).rejects.toMatchObject({ code: 'storage-quota', needed: 29 });
  expect(await store.list()).toEqual([]);
});

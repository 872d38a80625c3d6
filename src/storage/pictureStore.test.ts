// Plan: pictures come back with their settings and bytes, oldest first, from another page too; removal, its undo, purging; a full disk.
import 'fake-indexeddb/auto';
import { expect, test } from 'vitest';
import type { NewGalleryPicture } from '../worker/protocol.ts';
import { PictureStore } from './pictureStore.ts';
import { fillDisk, freshDatabase } from './testing.ts';

function picture(seed: number): NewGalleryPicture {
  return {
    png: new Blob([`png ${seed}`], { type: 'image/png' }),
    width: 64,
    height: 64,
    savedAt: 1000 + seed,
    milliseconds: 5,
    isPartial: false,
    parameters: `a cat\nSteps: 2, Seed: ${seed}, CFG scale: 7`,
    loraNames: ['style'],
    request: {
      modelId: 'demo',
      prompt: 'a cat',
      negativePrompt: '',
      seed,
      numInferenceSteps: 2,
      guidanceScale: 7,
      width: 64,
      height: 64,
      scheduler: 'ddim',
      loras: [{ source: { kind: 'run', runId: 'r' }, weight: 0.5 }],
    },
  };
}

const seeds = async (store: PictureStore) => (await store.list()).map(({ request }) => request.seed);

test('pictures come back as they were, the oldest first', async () => {
  const options = freshDatabase();
  const store = new PictureStore(options);
  await store.add(picture(2));
  const added = await store.add(picture(1));
  const [first] = await new PictureStore(options).list();
  expect(await seeds(store)).toEqual([1, 2]);
  const { png, ...about } = picture(1);
  expect(first).toMatchObject({ ...about, id: added.id });
  expect(await first?.png.text()).toBe(await png.text());
});

test('removed pictures are gone until restored or purged', async () => {
  const store = new PictureStore(freshDatabase());
  const [one, two] = [await store.add(picture(1)), await store.add(picture(2))];
  await store.remove([one.id, two.id, 'unknown'], 1000);
  expect(await seeds(store)).toEqual([]);
  expect((await store.restore([two.id])).map(({ id }) => id)).toEqual([two.id]);
  await store.purgeRemoved(1001);
  expect(await seeds(store)).toEqual([2]);
  await expect(store.restore([one.id])).rejects.toMatchObject({
    code: 'picture-not-stored',
    remedy: 'Draw it again, or drop its PNG on the prompt.',
  });
});

test('what does not fit is not taken in', async () => {
  const store = new PictureStore(freshDatabase());
  const undo = fillDisk();
  await expect(store.add(picture(1))).rejects.toMatchObject({ code: 'storage-quota' });
  undo();
  expect(await store.list()).toEqual([]);
});

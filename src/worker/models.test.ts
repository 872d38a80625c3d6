// Plan: the built-in model is listed first, with its sizes, before it was ever fetched, once only afterwards, and from storage
// when there is no network; a page without it lists the rest; it opens by its id and cannot be deleted. Sizes of the others
// follow from their configs. The page's files are found under any path.
import 'fake-indexeddb/auto';
import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex } from '@noble/hashes/utils.js';
import { BuiltInModel } from '../hub/builtInModel.ts';
import { ModelStore } from '../storage/modelStore.ts';
import { freshDatabase } from '../storage/testing.ts';
import { Models } from './models.ts';
import { pageUrl } from './pageUrl.ts';

const root = 'fixtures/sd15-tiny/model/';
const paths = ['unet/config.json', 'vae/config.json'];

let store: ModelStore;
let online: boolean;
let models: Models;

const listed = {
  revision: 'c0ffee',
  imageSize: 64,
  sizeUnit: 4,
  files: paths.map((path) => {
    const bytes = new Uint8Array(readFileSync(root + path));
    return { path, size: bytes.length, sha256: bytesToHex(sha256(bytes)) };
  }),
};

beforeEach(() => {
  store = new ModelStore(freshDatabase());
  online = true;
  const serve = (async (url: URL) => {
    if (!online) throw new TypeError('offline');
    const path = url.pathname.slice('/demo/'.length);
    return path === 'files.json' ? Response.json(listed) : new Response(readFileSync(root + path));
  }) as unknown as typeof fetch;
  models = new Models(store, new BuiltInModel(new URL('https://host.example/demo/'), store, serve));
});
afterEach(() => {
  vi.unstubAllEnvs();
  vi.unstubAllGlobals();
});

/** A model of a Hub, as if downloaded. */
async function keep(id: string): Promise<void> {
  const files = [];
  for (const path of paths) {
    const bytes = new Uint8Array(readFileSync(root + path));
    const file = { path, size: bytes.length, content: `sha256:${bytesToHex(sha256(bytes))}`, chunkBytes: 1 << 20 };
    await store.putChunk(id, file, 0, new Blob([bytes]));
    await store.finishFile(id, file);
    files.push(file);
  }
  await store.commit(id, 'abc', files, 7);
}

test('lists the built-in model first, fetched or not, and the sizes of the others', async () => {
  await keep('a/tiny');
  const bytes = listed.files.reduce((sum, { size }) => sum + size, 0);
  const demo = { id: 'demo', revision: 'c0ffee', bytes, savedAt: 0, imageSize: 64, sizeUnit: 4, isBuiltIn: true };
  const tiny = { id: 'a/tiny', revision: 'abc', bytes, savedAt: 7, imageSize: 128, sizeUnit: 8, isBuiltIn: false };
  expect(await models.list()).toEqual([demo, tiny]);
  await models.openTree('demo');
  expect(await models.list()).toEqual([demo, tiny]);
});

test('without a network it is there once it was fetched', async () => {
  online = false;
  expect(await models.list()).toEqual([]);
  await expect(models.openTree('demo')).rejects.toMatchObject({ code: 'built-in-model-unavailable' });
  online = true;
  await models.openTree('demo');
  online = false;
  expect(await models.list()).toMatchObject([{ id: 'demo', isBuiltIn: true, imageSize: 128, sizeUnit: 8 }]);
  expect((await models.openTree('demo')).name).toBe('loratory-demo');
});

test('it cannot be deleted; others can', async () => {
  await keep('a/tiny');
  await expect(models.delete('demo')).rejects.toThrow('belongs to the page and cannot be deleted');
  await models.delete('a/tiny');
  expect((await models.list()).map(({ id }) => id)).toEqual(['demo']);
});

test.each([
  ['/', 'https://host.example/assets/worker.js', 'https://host.example/models/demo/'],
  ['/studio/', 'https://host.example/studio/assets/worker.js', 'https://host.example/studio/models/demo/'],
  ['./', 'https://host.example/any/where/assets/worker.js', 'https://host.example/any/where/models/demo/'],
])('files of a page built for %s', (base, worker, expected) => {
  vi.stubEnv('BASE_URL', base);
  vi.stubGlobal('location', { href: worker });
  expect(pageUrl('models/demo/').href).toBe(expected);
});

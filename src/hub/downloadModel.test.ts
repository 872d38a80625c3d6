/**
 * Plan, all against the local Hub with the real client library: a whole download; resuming after dropped connections, closed
 * pages and damaged files; new revisions; every answer that is none; nothing is visible before it is whole.
 */
import 'fake-indexeddb/auto';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type HubOptions, type RunningHub, startHub } from '../../tools/hub/server.ts';
import { modelFiles, noise, writeFiles } from '../../tools/hub/testing.ts';
import { ModelStore } from '../storage/modelStore.ts';
import { fillDisk, fixedStorage, freshDatabase } from '../storage/testing.ts';
import type { DownloadProgress } from '../worker/protocol.ts';
import { type DownloadOptions, type DownloadRequest, downloadModel } from './downloadModel.ts';

const ID = 'someone/model';
const UNET = 'unet/diffusion_pytorch_model.fp16.safetensors';
const CHUNK = 4096;
// Of the test repository: 10,240 bytes of UNet in 3 chunks; 4,096 of the VAE and 3,000 of the text encoder in one each.
const NEEDED = [
  'model_index.json',
  'scheduler/scheduler_config.json',
  'text_encoder/config.json',
  'text_encoder/model.fp16.safetensors',
  'tokenizer/merges.txt',
  'tokenizer/vocab.json',
  'unet/config.json',
  UNET,
  'vae/config.json',
  'vae/diffusion_pytorch_model.fp16.safetensors',
];

let root: string;
let hub: RunningHub;
let store: ModelStore;
let waits: number[];
let undo: (() => void) | undefined;
/** What goes wrong; a test sets it. */
let fault: NonNullable<HubOptions['fault']>;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'hub-'));
  await writeFiles(root, modelFiles(ID));
  fault = () => null;
  waits = [];
  hub = await startHub({ root, fault: (request) => fault(request) });
  store = new ModelStore(freshDatabase());
});
afterEach(async () => {
  undo?.();
  undo = undefined;
  await hub.close();
  await rm(root, { recursive: true });
});

function download(request: Partial<DownloadRequest> = {}, options: DownloadOptions = {}, into = store) {
  return downloadModel({ id: ID, endpoint: hub.url, ...request }, into, {
    chunkBytes: CHUNK,
    sleep: async (ms) => {
      waits.push(ms / 1000);
    },
    ...options,
  });
}

/** Ranges and files that the CDN was asked for since `from`. */
const fromCdn = (from = 0) => hub.requests.slice(from).filter(({ path }) => path.startsWith('/cdn/'));

async function expectWhole(id = ID, folder = join(root, ID)): Promise<void> {
  const tree = await store.openTree(id);
  for (const path of tree.list()) {
    const source = await tree.open(path);
    const isSame = Buffer.from(await source.read(0, source.size)).equals(await readFile(join(folder, path)));
    expect([path, isSame]).toEqual([path, true]);
  }
}

test('the needed files arrive whole, pinned to a commit, in ranges', async () => {
  const reports: DownloadProgress[] = [];
  const stored = await download({}, { onProgress: (progress) => reports.push(progress) });

  expect(stored.revision).toMatch(/^[0-9a-f]{40}$/);
  expect(await store.list()).toEqual([stored]);
  expect((await store.openTree(ID)).list()).toEqual(NEEDED);
  await expectWhole();
  expect(
    hub.requests.filter(({ path }) => path.includes('/resolve/')).every(({ path }) => path.includes(stored.revision)),
  ).toBe(true);
  expect(
    fromCdn()
      .flatMap(({ range }) => range ?? [])
      .toSorted(),
  ).toEqual(['bytes=0-4095', 'bytes=4096-8191', 'bytes=8192-10239']);
  expect(reports.at(-1)).toMatchObject({ modelId: ID, loadedBytes: stored.bytes, totalBytes: stored.bytes });
  expect(waits).toEqual([]);
});

test('the model of the fixtures arrives whole', async () => {
  const folder = fileURLToPath(new URL('../../fixtures/sd15-tiny/model', import.meta.url));
  await hub.close();
  hub = await startHub({ root: folder });
  const stored = await download({ id: 'local/model' }, { chunkBytes: 1_000_000 });
  const paths = (await readdir(folder, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile());
  expect((await store.openTree('local/model')).list().length).toBe(paths.length);
  expect(stored.bytes).toBeGreaterThan(7_000_000);
  await expectWhole('local/model', folder);
});

test('a second call finds it there: no file is fetched again', async () => {
  const first = await download();
  const before = hub.requests.length;
  const second = await download();
  expect({ ...second, savedAt: first.savedAt }).toEqual(first);
  expect(hub.requests.slice(before).filter(({ path }) => !path.startsWith('/api/'))).toEqual([]);
});

test('dropped connections are taken up again', async () => {
  let drops = 0;
  fault = ({ path, range }) =>
    path.startsWith('/cdn/') && range === 'bytes=4096-8191' && drops++ < 3 ? { dropAfterBytes: 1000 } : null;
  const reports: DownloadProgress[] = [];
  const stored = await download({}, { onProgress: (progress) => reports.push(progress) });
  await expectWhole();
  expect(waits).toEqual([1, 2, 4]);
  expect(reports.at(-1)?.loadedBytes).toBe(stored.bytes);
});

test('a line that stays down ends in an error, and the next call goes on from the stored chunks', async () => {
  fault = ({ path, range }) =>
    path.startsWith('/cdn/') && range === 'bytes=8192-10239' ? { dropAfterBytes: 1000 } : null;
  await expect(download()).rejects.toMatchObject({
    code: 'hub-network',
    message: `${hub.url} could not be reached while fetching ${ID}.`,
  });
  expect(waits.slice(0, 5)).toEqual([1, 2, 4, 8, 16]);
  expect(await store.list()).toEqual([]);

  fault = () => null;
  const before = hub.requests.length;
  const reports: DownloadProgress[] = [];
  await download({}, { onProgress: (progress) => reports.push(progress) });
  await expectWhole();
  expect(fromCdn(before).map(({ range }) => range)).toEqual(['bytes=8192-10239']);
  expect(reports[0]?.loadedBytes).toBeGreaterThan(0);
  expect(reports.at(-1)?.loadedBytes).toBe(reports.at(-1)?.totalBytes);
});

test('a page that is closed half-way goes on later', async () => {
  const abort = new AbortController();
  // Four ranges are under way at once: when the fifth is asked for, at least one is stored.
  fault = () => {
    if (fromCdn().length === 5) abort.abort();
    return null;
  };
  await expect(download({}, { signal: abort.signal })).rejects.toMatchObject({ name: 'AbortError' });
  expect(await store.list()).toEqual([]);
  const before = hub.requests.length;
  await download();
  await expectWhole();
  expect(fromCdn(before).length).toBeLessThan(5);
});

test('an aborted signal stops it before the first request', async () => {
  await expect(download({}, { signal: AbortSignal.abort() })).rejects.toMatchObject({ name: 'AbortError' });
  expect(hub.requests).toEqual([]);
});

test('a wait between attempts can be aborted', async () => {
  const abort = new AbortController();
  fault = () => ({ status: 500 });
  const sleep = async (_: number, signal: AbortSignal) => {
    abort.abort();
    signal.throwIfAborted();
  };
  await expect(download({}, { signal: abort.signal, sleep })).rejects.toMatchObject({ name: 'AbortError' });
  expect(hub.requests.length).toBe(1);
});

test('a damaged file is refused and deleted; only it is fetched again', async () => {
  fault = ({ range }) => (range === 'bytes=4096-8191' ? { corruptByte: 5000 } : null);
  await expect(download()).rejects.toMatchObject({
    code: 'hash-mismatch',
    message: `${UNET} of ${ID} was damaged on its way: its hash is not the one that the Hub announced.`,
    remedy: 'Download again: only this file is fetched anew. If it happens again, use another network or endpoint.',
  });
  expect(await store.list()).toEqual([]);
  fault = () => null;
  await download();
  await expectWhole();
});

test('a damaged small file is noticed by its git hash', async () => {
  fault = ({ path }) => (path.endsWith('unet/config.json') ? { corruptByte: 3 } : null);
  await expect(download()).rejects.toMatchObject({ code: 'hash-mismatch', facts: { path: 'unet/config.json' } });
});

test('a web page is never stored as a file', async () => {
  const page = { status: 200, headers: { 'Content-Type': 'text/html' }, body: '<html>Log in</html>' };
  fault = ({ path }) => (path.startsWith('/cdn/') ? page : null);
  await expect(download()).rejects.toMatchObject({ code: 'not-a-hub' });
  // Without its type it gives itself away by its length or hash.
  fault = ({ path }) => (path.startsWith('/cdn/') ? { status: 206, body: '<html>Log in</html>' } : null);
  await expect(download()).rejects.toMatchObject({ code: 'hub-network' });
  expect(await store.list()).toEqual([]);
});

test('a new revision fetches only what changed, and replaces the old one', async () => {
  const old = await download();
  await writeFiles(root, { [`${ID}/${UNET}`]: noise(5000, 99) });
  const before = hub.requests.length;
  const young = await download();
  expect(young.revision).not.toBe(old.revision);
  expect(
    fromCdn(before)
      .map(({ range }) => range ?? '')
      .toSorted(),
  ).toEqual(['bytes=0-4095', 'bytes=4096-4999']);
  await expectWhole();
  expect(await store.list()).toEqual([young]);
});

test('while a new revision fails, the old one stays', async () => {
  const old = await download();
  const oldUnet = await readFile(join(root, ID, UNET));
  await writeFiles(root, { [`${ID}/${UNET}`]: noise(5000, 99) });
  fault = ({ path }) => (path.startsWith('/cdn/') ? { status: 500 } : null);
  await expect(download()).rejects.toMatchObject({ code: 'hub-unavailable' });
  expect(await store.list()).toEqual([old]);
  const source = await (await store.openTree(ID)).open(UNET);
  expect(Buffer.from(await source.read(0, source.size)).equals(oldUnet)).toBe(true);
});

test('a stored model needs no Hub, unless another revision is asked for', async () => {
  const stored = await download();
  await hub.close();
  expect(await download()).toEqual(stored);
  expect(await download({ revision: stored.revision })).toEqual(stored);
  await expect(download({ revision: 'v2' })).rejects.toMatchObject({ code: 'hub-network' });
});

test('a Hub that is slow to let us in is asked again when it says', async () => {
  let refusals = 0;
  fault = () => (refusals++ < 2 ? { status: 429, retryAfter: 9 } : null);
  await download();
  await expectWhole();
  expect(waits).toEqual([9, 9]);
});

test.each([
  [
    { status: 429, retryAfter: 200 },
    'hub-rate-limit',
    `The Hub limits how often it may be asked, and the limit was reached while fetching ${ID}.`,
  ],
  [
    { status: 429 },
    'hub-rate-limit',
    `The Hub limits how often it may be asked, and the limit was reached while fetching ${ID}.`,
  ],
  [{ status: 500 }, 'hub-unavailable', `The Hub has a fault of its own (status 500) while fetching ${ID}.`],
  [
    { status: 403, headers: { 'X-Error-Code': 'GatedRepo' } },
    'hub-not-found',
    `The model ${ID} is gated: its owner wants you to accept terms first.`,
  ],
  [{ status: 404 }, 'hub-not-found', `The Hub has no model ${ID}, or it is private.`],
])('a Hub that answers %j', async (answer, code, message) => {
  fault = () => answer;
  await expect(download()).rejects.toMatchObject({ code, message });
  expect(await store.list()).toEqual([]);
});

test('an endpoint that answers something else', async () => {
  fault = () => ({ body: 'Hello', headers: { 'Content-Type': 'text/plain' } });
  await expect(download()).rejects.toMatchObject({ code: 'not-a-hub', facts: { reason: 'its answer is not JSON' } });
  fault = () => ({ body: '{}' });
  await expect(download()).rejects.toMatchObject({ code: 'not-a-hub', facts: { reason: 'it names no commit' } });
});

test('a wrong id, a wrong revision, no id at all', async () => {
  await expect(download({ id: 'someone/modle' })).rejects.toMatchObject({
    code: 'hub-not-found',
    reason: 'missing-or-private',
    message: 'The Hub has no model someone/modle, or it is private.',
    remedy:
      'Check the spelling (owner/name, as in the address of the model page). For a private model, give an access token.',
  });
  await expect(download({ revision: 'v2' })).rejects.toMatchObject({ message: `The model ${ID} has no revision v2.` });
  await expect(download({ id: 'modle' })).rejects.toMatchObject({ code: 'invalid-model-id' });
});

test('a repository without a UNet fetches nothing', async () => {
  await writeFiles(root, { 'someone/text/config.json': '{}', 'someone/text/model.safetensors': noise(100, 1) });
  await expect(download({ id: 'someone/text' })).rejects.toMatchObject({
    code: 'not-a-model',
    message: 'someone/text has no unet/ folder, only a checkpoint in a single file (model.safetensors).',
  });
  expect(hub.requests.filter(({ path }) => path.includes('/resolve/'))).toEqual([]);
});

test('a private model opens to its token, which the CDN never sees', async () => {
  await hub.close();
  hub = await startHub({ root, token: 'hf_right' });
  await expect(download()).rejects.toMatchObject({ reason: 'missing-or-private' });
  await download({ token: 'hf_right' });
  await expectWhole();
  expect(fromCdn().every(({ authorization }) => authorization === null)).toBe(true);
});

test('no room: refused before the first file, or when a write fails', async () => {
  const small = new ModelStore(freshDatabase(fixedStorage(10_000)));
  await expect(download({}, {}, small)).rejects.toMatchObject({ code: 'storage-quota', available: 10_000 });
  expect(hub.requests.filter(({ path }) => path.includes('/resolve/'))).toEqual([]);

  undo = fillDisk();
  await expect(download()).rejects.toMatchObject({ code: 'storage-quota' });
  undo();
  await download();
  await expectWhole();
});

test('two tabs that download the same model at once both get it', async () => {
  const [one, two] = await Promise.all([download(), download()]);
  expect(one.revision).toBe(two.revision);
  await expectWhole();
});

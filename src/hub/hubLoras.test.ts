/**
 * Plan, all against the local Hub with the real client library: a search finds LoRAs by name and no whole models; the files of a
 * repository; one file fetched, named or the only one, its hash checked; what cannot be had is refused by name; a token goes to the
 * Hub and nowhere else.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type HubOptions, type RunningHub, startHub } from '../../tools/hub/server.ts';
import { modelFiles, noise, writeFiles } from '../../tools/hub/testing.ts';
import { fetchHubLora, listHubLoras, LoraFileChoiceError, searchHubLoras } from './hubLoras.ts';

const weights = noise(5000, 7);
const { signal } = new AbortController();
const onProgress = (): void => {};

let root: string;
let hub: RunningHub;
let fault: NonNullable<HubOptions['fault']>;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'hub-'));
  await writeFiles(root, {
    ...modelFiles('someone/ink-model'),
    'artist/ink-style/ink.safetensors': weights,
    'artist/ink-style/README.md': 'trigger: ink',
    'artist/two-styles/one.safetensors': noise(100, 1),
    'artist/two-styles/two.safetensors': noise(100, 2),
    'artist/empty/README.md': '',
  });
  fault = () => null;
  hub = await startHub({ root, fault: (request) => fault(request) });
});
afterEach(async () => {
  await hub.close();
  await rm(root, { recursive: true });
});

test('a search finds LoRAs by name, and no whole models', async () => {
  const found = await searchHubLoras({ query: 'ink', endpoint: hub.url }, signal);
  expect(found).toEqual([
    { id: 'artist/ink-style', downloads: 0, likes: 0, updatedAt: expect.any(Number), isGated: false, baseModels: [] },
  ]);
  expect(await searchHubLoras({ query: 'style', endpoint: hub.url, limit: 1 }, signal)).toHaveLength(1);
});

test('the LoRA files of a repository are listed with their sizes', async () => {
  expect(await listHubLoras({ id: 'artist/two-styles', endpoint: hub.url }, signal)).toEqual([
    { path: 'one.safetensors', bytes: 100 },
    { path: 'two.safetensors', bytes: 100 },
  ]);
});

test('the only file, or the one that is named, is fetched and whole', async () => {
  const loaded: number[] = [];
  const { file, path, revision } = await fetchHubLora(
    { id: 'artist/ink-style', endpoint: hub.url },
    { signal, onProgress: ({ loadedBytes }) => void loaded.push(loadedBytes) },
  );
  expect([path, revision]).toEqual(['ink.safetensors', expect.stringMatching(/^[0-9a-f]{40}$/)]);
  expect(new Uint8Array(await file.arrayBuffer())).toEqual(weights);
  expect(loaded.at(-1)).toBe(weights.length);
  const two = await fetchHubLora(
    { id: 'artist/two-styles', path: 'two.safetensors', endpoint: hub.url },
    { signal, onProgress },
  );
  expect(new Uint8Array(await two.file.arrayBuffer())).toEqual(noise(100, 2));
});

test.each([
  [{ id: 'artist/two-styles' }, 'The repository artist/two-styles has 2 files that may be LoRAs.'],
  [
    { id: 'artist/two-styles', path: 'three.safetensors' },
    'The repository artist/two-styles has no file three.safetensors.',
  ],
  [{ id: 'artist/empty' }, 'The repository artist/empty has no LoRA in .safetensors.'],
])('what cannot be chosen: %o', async (request, message) => {
  const fetching = fetchHubLora({ ...request, endpoint: hub.url }, { signal, onProgress });
  await expect(fetching).rejects.toThrow(LoraFileChoiceError);
  await expect(fetching).rejects.toThrow(message);
});

test('a damaged file is refused', async () => {
  fault = ({ path }) => (path.startsWith('/cdn/') ? { corruptByte: 17 } : null);
  await expect(
    fetchHubLora({ id: 'artist/ink-style', endpoint: hub.url }, { signal, onProgress }),
  ).rejects.toMatchObject({ code: 'hash-mismatch' });
});

test('a private repository opens with its token, which goes to the Hub only', async () => {
  await hub.close();
  hub = await startHub({ root, token: 'hf_secret' });
  const request = { id: 'artist/ink-style', endpoint: hub.url };
  await expect(fetchHubLora(request, { signal, onProgress })).rejects.toMatchObject({ code: 'hub-not-found' });
  await fetchHubLora({ ...request, token: 'hf_secret' }, { signal, onProgress });
  expect(await searchHubLoras({ query: 'ink', endpoint: hub.url }, signal)).toEqual([]);
  expect(await searchHubLoras({ query: 'ink', endpoint: hub.url, token: 'hf_secret' }, signal)).toHaveLength(1);
  expect(hub.requests.filter(({ path }) => path.startsWith('/cdn/')).map(({ authorization }) => authorization)).toEqual(
    hub.requests.filter(({ path }) => path.startsWith('/cdn/')).map(() => null),
  );
});

test('no Hub there, and one that answers with something else', async () => {
  fault = () => ({ body: '<html>', headers: { 'Content-Type': 'text/html' } });
  await expect(searchHubLoras({ query: 'ink', endpoint: hub.url }, signal)).rejects.toMatchObject({
    code: 'not-a-hub',
  });
  await expect(searchHubLoras({ query: 'ink', endpoint: 'nowhere' }, signal)).rejects.toMatchObject({
    code: 'invalid-endpoint',
  });
});

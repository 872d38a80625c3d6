/**
 * Plan: @huggingface/hub reads a repository from the server unchanged; what the library does not look at but browsers do
 * (ranges, redirects, CORS); which ids and revisions there are; faults.
 */
import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { downloadFile, fileDownloadInfo, listFiles, modelInfo, pathsInfo } from '@huggingface/hub';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { startHub, type HubOptions, type RunningHub } from './server.ts';
import { writeFiles } from './testing.ts';

const CONFIG = '{"a": 1}';
const WEIGHTS = '0123456789';
const repo = 'someone/model';

let root: string;
let hub: RunningHub;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'hub-'));
  await writeFiles(root, { 'someone/model/config.json': CONFIG, 'someone/model/unet/w.safetensors': WEIGHTS });
  await restart({});
});
afterEach(async () => {
  await hub.close();
  await rm(root, { recursive: true });
});

async function restart(options: Partial<HubOptions>): Promise<void> {
  await hub?.close().catch(() => {});
  hub = await startHub({ root, ...options });
}

const hash = (algorithm: string, text: string) => createHash(algorithm).update(text).digest('hex');
async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

const resolveUrl = (path: string) => `${hub.url}/${repo}/resolve/main/${path}`;

test('the library reads info, tree, paths and files', async () => {
  const info = await modelInfo({ name: repo, hubUrl: hub.url, additionalFields: ['sha', 'filePaths'] });
  expect(info).toMatchObject({ name: repo, private: false, gated: false });
  expect(info.sha).toMatch(/^[0-9a-f]{40}$/);

  const config = { type: 'file', path: 'config.json', size: 8, oid: hash('sha1', `blob 8\0${CONFIG}`) };
  const lfs = { oid: hash('sha256', WEIGHTS), size: 10, pointerSize: 127 };
  const tree = await collect(listFiles({ repo, hubUrl: hub.url, recursive: true, revision: info.sha }));
  expect(tree).toEqual([
    config,
    expect.objectContaining({ type: 'directory', path: 'unet' }),
    expect.objectContaining({ type: 'file', path: 'unet/w.safetensors', size: 10, lfs }),
  ]);
  expect((await collect(listFiles({ repo, hubUrl: hub.url }))).map(({ path }) => path)).toEqual([
    'config.json',
    'unet',
  ]);
  expect(await pathsInfo({ repo, hubUrl: hub.url, paths: ['unet/w.safetensors', 'none'] })).toMatchObject([{ lfs }]);

  for (const [path, text] of [
    ['config.json', CONFIG],
    ['unet/w.safetensors', WEIGHTS],
  ] as const) {
    const blob = await downloadFile({ repo, path, hubUrl: hub.url });
    expect(await blob?.text()).toBe(text);
    expect(await blob?.slice(2, 5).text()).toBe(text.slice(2, 5));
  }
  expect(await downloadFile({ repo, path: 'none', hubUrl: hub.url })).toBeNull();
  expect(await fileDownloadInfo({ repo, path: 'config.json', hubUrl: hub.url })).toMatchObject({ size: 8 });
});

test('a long tree comes in pages', async () => {
  await restart({ pageSize: 2 });
  const tree = await collect(listFiles({ repo, hubUrl: hub.url, recursive: true }));
  expect(tree.map(({ path }) => path)).toEqual(['config.json', 'unet', 'unet/w.safetensors']);
  expect(hub.requests.length).toBe(2);
});

test('the commit depends on the contents alone', async () => {
  const shaOf = async () => (await modelInfo({ name: repo, hubUrl: hub.url, additionalFields: ['sha'] })).sha;
  const first = await shaOf();
  await writeFiles(root, { 'someone/model/config.json': '{"a": 2}' });
  const second = await shaOf();
  await writeFiles(root, { 'someone/model/config.json': CONFIG });
  expect([second === first, await shaOf()]).toEqual([false, first]);
});

test('LFS files redirect to another origin; the rest does not', async () => {
  const redirect = await fetch(resolveUrl('unet/w.safetensors'), { redirect: 'manual', method: 'HEAD' });
  expect(redirect.status).toBe(302);
  expect(redirect.headers.get('Location')).toBe(`${hub.cdnUrl}/cdn/${repo}/${hash('sha256', WEIGHTS)}`);
  expect(redirect.headers.get('X-Linked-Size')).toBe('10');
  expect(redirect.headers.get('X-Linked-ETag')).toBe(`"${hash('sha256', WEIGHTS)}"`);
  expect(new URL(hub.cdnUrl).origin).not.toBe(new URL(hub.url).origin);

  const followed = await fetch(resolveUrl('unet/w.safetensors'), { headers: { Range: 'bytes=8-' } });
  expect([followed.status, followed.headers.get('X-Linked-Size'), await followed.text()]).toEqual([206, null, '89']);
});

test.each([
  ['bytes=2-4', 206, 'bytes 2-4/10', '234'],
  ['bytes=8-99', 206, 'bytes 8-9/10', '89'],
  ['bytes=-3', 206, 'bytes 7-9/10', '789'],
  ['bytes=10-', 416, 'bytes */10', ''],
  ['bytes=0-1,4-5', 200, null, WEIGHTS],
])('range %s', async (range, status, contentRange, text) => {
  const response = await fetch(resolveUrl('unet/w.safetensors'), { headers: { Range: range } });
  expect([response.status, response.headers.get('Content-Range'), await response.text()]).toEqual([
    status,
    contentRange,
    text,
  ]);
});

test('HEAD has the headers and no body', async () => {
  const response = await fetch(resolveUrl('config.json'), { method: 'HEAD' });
  expect([response.headers.get('Content-Length'), await response.text()]).toEqual(['8', '']);
  expect(response.headers.get('ETag')).toBe(`"${hash('sha1', `blob 8\0${CONFIG}`)}"`);
  expect(response.headers.get('X-Repo-Commit')).toMatch(/^[0-9a-f]{40}$/);
});

test('pages of other origins may ask', async () => {
  const headers = { Origin: 'http://localhost:5173' };
  const preflight = await fetch(`${hub.url}/api/models/${repo}`, {
    method: 'OPTIONS',
    headers: { ...headers, 'Access-Control-Request-Headers': 'authorization' },
  });
  expect([preflight.status, preflight.headers.get('Access-Control-Allow-Headers')]).toEqual([204, 'authorization']);
  const response = await fetch(resolveUrl('config.json'), { headers });
  expect(response.headers.get('Access-Control-Allow-Origin')).toBe('http://localhost:5173');
  expect(response.headers.get('Access-Control-Expose-Headers')).toContain('Link');
});

test('a folder that is a model itself is local/<its name>', async () => {
  await writeFiles(root, { 'someone/model/model_index.json': '{}' });
  await restart({ root: join(root, 'someone/model') });
  expect(await hub.ids()).toEqual(['local/model']);
  expect((await modelInfo({ name: 'local/model', hubUrl: hub.url })).name).toBe('local/model');
});

test('what is not there, as the Hub says it', async () => {
  const codes: Record<string, [number, string | null]> = {};
  for (const path of [
    '/api/models/someone/none/revision/main',
    `/api/models/${repo}/revision/v2`,
    `/api/models/${repo}/tree/main/none`,
    `/${repo}/resolve/main/none`,
    `/${repo}/resolve/main/..%2F..%2F..%2Fetc%2Fpasswd`,
    `/api/models/..%2F${basename(root)}/revision/main`,
  ]) {
    const response = await fetch(hub.url + path);
    codes[path] = [response.status, response.headers.get('X-Error-Code')];
  }
  expect(Object.values(codes)).toEqual([
    [401, 'RepoNotFound'],
    [404, 'RevisionNotFound'],
    [404, 'EntryNotFound'],
    [404, 'EntryNotFound'],
    [404, 'EntryNotFound'],
    [401, 'RepoNotFound'],
  ]);
});

test('a private repository wants its token', async () => {
  await restart({ token: 'hf_right' });
  const ask = (accessToken?: string) =>
    modelInfo({ name: repo, hubUrl: hub.url, ...(accessToken ? { accessToken } : {}) });
  await expect(ask()).rejects.toMatchObject({ statusCode: 401 });
  await expect(ask('hf_wrong')).rejects.toMatchObject({ statusCode: 404 });
  expect((await ask('hf_right')).private).toBe(true);
  const blob = await downloadFile({ repo, path: 'unet/w.safetensors', hubUrl: hub.url, accessToken: 'hf_right' });
  expect(await blob?.text()).toBe(WEIGHTS);
});

test('faults: another status, a cut connection, a flipped byte', async () => {
  let fault = {};
  await restart({ fault: ({ path }) => (path.startsWith('/cdn/') ? fault : null) });
  fault = { status: 429, retryAfter: 3 };
  const limited = await fetch(resolveUrl('unet/w.safetensors'));
  expect([limited.status, limited.headers.get('Retry-After')]).toEqual([429, '3']);

  fault = { dropAfterBytes: 4 };
  await expect(fetch(resolveUrl('unet/w.safetensors')).then((response) => response.text())).rejects.toThrow(
    'terminated',
  );

  fault = { corruptByte: 9 };
  const corrupt = await fetch(resolveUrl('unet/w.safetensors'), { headers: { Range: 'bytes=7-9' } });
  expect(Buffer.from(await corrupt.arrayBuffer())).toEqual(Buffer.from([0x37, 0x38, 0x39 ^ 0xff]));
  expect(hub.requests.map(({ range }) => range)).toContain('bytes=7-9');
});

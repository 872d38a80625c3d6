/**
 * Plan: a folder as tools/demo-model/listFiles.mjs lists it, served as a static host serves it. Each file is fetched once; a
 * second page needs no network; a new version replaces the old; what is missing, cut short, altered or a web page is refused
 * by name; a broken-off fetch goes on where it stopped.
 */
import 'fake-indexeddb/auto';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { modelFiles, writeFiles } from '../../tools/hub/testing.ts';
import { readText } from '../core/files.ts';
import { ModelStore } from '../storage/modelStore.ts';
import { freshDatabase } from '../storage/testing.ts';
import { BuiltInModel } from './builtInModel.ts';

const folderUrl = new URL('https://host.example/studio/models/demo/');
const scheduler = 'scheduler/scheduler_config.json';

let folder: string;
let store: ModelStore;
let requested: string[];
/** What the server answers instead of the file; a test sets it. */
let fault: (path: string) => Response | Error | null;

/** A static host, which answers what it does not have with its start page. */
const serve = (async (input: URL) => {
  const path = input.href.slice(folderUrl.href.length);
  requested.push(path);
  const answer = fault(path);
  if (answer instanceof Error) throw answer;
  if (answer !== null) return answer;
  try {
    return new Response(readFileSync(join(folder, path)));
  } catch {
    return new Response('<!doctype html>', { headers: { 'Content-Type': 'text/html' } });
  }
}) as unknown as typeof fetch;

const model = (): BuiltInModel => new BuiltInModel(folderUrl, store, serve);
const listFiles = (): Buffer => execFileSync(process.execPath, ['tools/demo-model/listFiles.mjs', folder]);

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'demo-'));
  await writeFiles(folder, modelFiles('.'));
  writeFileSync(join(folder, 'README.md'), 'A card.');
  writeFileSync(join(folder, 'unet/config.json'), JSON.stringify({ sample_size: 16 }));
  writeFileSync(join(folder, 'vae/config.json'), JSON.stringify({ block_out_channels: [32, 64, 96] }));
  listFiles();
  store = new ModelStore(freshDatabase());
  requested = [];
  fault = () => null;
});
afterEach(() => rmSync(folder, { recursive: true }));

test('lists sizes that follow from the configs, and every file but the card', async () => {
  const { imageSize, sizeUnit, revision, files } = await model().list();
  expect([imageSize, sizeUnit]).toEqual([64, 4]);
  expect(revision).toMatch(/^[0-9a-f]{40}$/);
  expect(files.map(({ path }) => path)).toContain('tokenizer/merges.txt');
  expect(files.map(({ path }) => path)).not.toContain('README.md');
  expect(files.map(({ path }) => path)).not.toContain('files.json');
});

test('fetches each file once; then it opens without a network', async () => {
  const loaded: number[] = [];
  const tree = await model().openTree({ onProgress: ({ loadedBytes }) => void loaded.push(loadedBytes) });
  const { files } = await model().list();
  expect(tree.name).toBe('loratory-demo');
  expect(tree.list()).toEqual(files.map(({ path }) => path));
  expect(await readText(await tree.open('unet/config.json'))).toBe('{"sample_size":16}');
  expect(loaded.at(-1)).toBe(files.reduce((sum, { size }) => sum + size, 0));
  expect(requested.filter((path) => path !== 'files.json').toSorted()).toEqual(tree.list());

  requested = [];
  fault = () => new TypeError('offline');
  expect((await model().openTree()).list()).toEqual(tree.list());
  expect(requested).toEqual(['files.json']);
});

test('a new version replaces the old one, and only what changed is fetched', async () => {
  await model().fetch();
  const before = await store.find('demo');
  writeFileSync(join(folder, scheduler), '{"new":true}');
  listFiles();
  requested = [];
  const tree = await model().openTree();
  expect(requested).toEqual(['files.json', scheduler]);
  expect(await readText(await tree.open(scheduler))).toBe('{"new":true}');
  expect((await store.find('demo'))?.revision).not.toBe(before?.revision);
});

test('goes on after a fetch that broke off, and shows nothing before all is there', async () => {
  fault = (path) => (path === scheduler ? new TypeError('connection lost') : null);
  await expect(model().fetch()).rejects.toThrow(`${scheduler} of the demo model could not be fetched`);
  expect(await store.list()).toEqual([]);
  const before = new Set(requested);
  requested = [];
  fault = () => null;
  await model().fetch();
  expect(requested.filter((path) => before.has(path) && path !== scheduler)).toEqual(['files.json']);
  expect((await store.list()).map(({ id }) => id)).toEqual(['demo']);
});

test.each([
  ['files.json', new Response('', { status: 404 }), 'the server answered 404'],
  ['files.json', new Response('<!doctype html>'), 'what came is no list of files'],
  ['files.json', new Response('{"revision":"a","files":[]}'), 'what came is no list of files'],
  [scheduler, new Response('{}'), `${scheduler} of the demo model is not the file that was published: expected 2`],
  [scheduler, new Error('refused'), 'the server could not be reached'],
])('refuses %s that is wrong', async (wrong, answer, text) => {
  fault = (path) => (path === wrong ? answer : null);
  await expect(model().openTree()).rejects.toThrow(text);
});

test('refuses a file whose bytes were altered', async () => {
  const altered = readFileSync(join(folder, scheduler)).map((byte) => byte ^ 1);
  fault = (path) => (path === scheduler ? new Response(new Uint8Array(altered)) : null);
  await expect(model().openTree()).rejects.toMatchObject({
    code: 'built-in-model-damaged',
    facts: { path: scheduler },
  });
  expect(await store.list()).toEqual([]);
});

test('aborting ends it with the reason, also where a version is stored', async () => {
  await model().fetch();
  const reason = new DOMException('enough', 'AbortError');
  await expect(model().fetch({ signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
});

// Plan: the demo model is found in the sources, else in the build, else its absence is explained; a folder is taken as it is.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { demoFolder, imageSizeOf, openModel } from './openModel.ts';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'root-'));
});
afterEach(() => rmSync(root, { recursive: true }));

function put(folder: string): string {
  const path = join(root, folder, 'models/demo');
  mkdirSync(path, { recursive: true });
  writeFileSync(join(path, 'model_index.json'), '{}');
  return path;
}

test('the sources come before the build; without either it is said where it was looked for', () => {
  const missing = `The demo model is not there: looked in ${join(root, 'public/models/demo')} and ${join(root, 'dist/models/demo')}.`;
  expect(() => demoFolder(root)).toThrow(missing);
  const built = put('dist');
  expect(demoFolder(root)).toBe(built);
  const source = put('public');
  expect(demoFolder(root)).toBe(source);
});

test('a folder is opened as it is, with the size that follows from its configs', async () => {
  const model = await openModel('fixtures/sd15-tiny/model');
  expect(model.name).toBe('model');
  expect(imageSizeOf(model)).toBe(128);
  await expect(openModel(join(root, 'nothing'))).rejects.toThrow('There is no folder at');
});

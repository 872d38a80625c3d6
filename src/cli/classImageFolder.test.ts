// Plan: class images come back from their folder, by what they were drawn from.
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { classImageFolder } from './classImageFolder.ts';

test('class images are kept in a folder, by what they were drawn from', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'loratory-class-'));
  const store = classImageFolder(join(folder, 'new'));
  const image = { width: 2, height: 1, data: Uint8Array.of(1, 2, 3, 4, 5, 6) };
  expect(await store.load('dogs', 3)).toEqual([]);
  await store.keep('dogs', 0, image);
  expect(await store.load('dogs', 3)).toEqual([image]);
  expect(await store.load('cats', 3)).toEqual([]);
  expect(await readdir(join(folder, 'new'))).toHaveLength(1);
  await rm(folder, { recursive: true });
});

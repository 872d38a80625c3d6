// Plan: what is saved is loaded again, by device, from a folder that need not exist; a damaged file is overwritten.
import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { tileFile } from './tileFile.ts';

test('choices are kept in a file by device', async () => {
  const path = join(await mkdtemp(join(tmpdir(), 'tiles-')), 'loratory', 'tiles.json');
  const file = tileFile(path);
  await expect(file.load('gpu')).rejects.toThrow('ENOENT');
  await file.save('gpu', [['a', '64x64']]);
  await file.save('other', [['a', '32x64']]);
  await file.save('gpu', [['b', '128x64']]);
  expect(await tileFile(path).load('gpu')).toEqual([
    ['a', '64x64'],
    ['b', '128x64'],
  ]);
  expect(await file.load('unknown')).toEqual([]);
  await writeFile(path, '{"gpu":');
  await file.save('gpu', [['c', '64x64']]);
  expect(await file.load('gpu')).toEqual([['c', '64x64']]);
});

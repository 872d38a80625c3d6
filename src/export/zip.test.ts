// Plan: files in pieces come back whole, under their paths; what a zip cannot hold is refused before a byte is read.
import { unzipSync } from 'fflate';
import { expect, test } from 'vitest';
import type { BakedFile } from './bake.ts';
import { zipPieces, ZipTooLargeError } from './zip.ts';

function file(path: string, pieces: readonly number[][]): BakedFile {
  return {
    path,
    size: pieces.flat().length,
    async *pieces() {
      for (const piece of pieces) yield Uint8Array.from(piece);
    },
  };
}

test('files come back as they were', async () => {
  const bytes: number[] = [];
  const files = [file('unet/a.safetensors', [[1, 2], [3]]), file('model_index.json', [[4]]), file('empty', [])];
  for await (const piece of zipPieces(files)) bytes.push(...piece);
  const back = unzipSync(Uint8Array.from(bytes));
  expect(Object.fromEntries(Object.entries(back).map(([path, data]) => [path, [...data]]))).toEqual({
    'unet/a.safetensors': [1, 2, 3],
    'model_index.json': [4],
    empty: [],
  });
});

test('more than 4.2 GB is refused', async () => {
  const huge: BakedFile = { ...file('unet', []), size: 5e9 };
  await expect(zipPieces([huge]).next()).rejects.toThrow(ZipTooLargeError);
  await expect(zipPieces([huge]).next()).rejects.toThrow('The folder takes 5.0 GB, and a zip holds 4.2 GB.');
});

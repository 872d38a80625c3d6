// Plan: files come out with their folders, several groups alike; only what is wanted; damaged and encrypted zips are refused by name.
import { strToU8, zipSync } from 'fflate';
import { expect, test } from 'vitest';
import { unzipFiles } from './unzip.ts';

const zip = zipSync({
  'set/a.txt': strToU8('one'),
  'set/deep/b.bin': new Uint8Array(40e6),
  'c.bin': new Uint8Array(40e6),
});

test('unpacks what is wanted, group by group', () => {
  const all = [...unzipFiles(zip, 'set.zip', () => true)].map(({ path, bytes }) => `${path} ${bytes.length}`);
  expect(all).toEqual(['set/a.txt 3', 'set/deep/b.bin 40000000', 'c.bin 40000000']);
  const some = [...unzipFiles(zip, 'set.zip', (path) => path.endsWith('.txt'))];
  expect(some.map(({ bytes }) => new TextDecoder().decode(bytes))).toEqual(['one']);
});

test('refuses a damaged zip', () => {
  expect(() => [...unzipFiles(zip.slice(0, 100), 'set.zip', () => true)]).toThrow(
    'set.zip is damaged and cannot be unpacked.',
  );
});

test('refuses a file that claims more than it can unpack to, before there is memory for it', () => {
  const small = zipSync({ 'a.png': strToU8('one') });
  const view = new DataView(small.buffer);
  // The uncompressed size in the central directory (APPNOTE 4.3.12), 24 bytes behind its signature.
  const directory = small.findIndex((_, at) => at + 4 <= small.length && view.getUint32(at, true) === 0x02014b50);
  view.setUint32(directory + 24, 3_000_000_000, true);
  expect(() => [...unzipFiles(small, 'set.zip', () => true)]).toThrow(
    'set.zip says that a.png unpacks to 3000000000 bytes, which it cannot.',
  );
});

test('refuses an encrypted zip', () => {
  const encrypted = zip.slice();
  encrypted[6]! |= 1;
  expect(() => [...unzipFiles(encrypted, 'set.zip', () => true)]).toThrow('set.zip is encrypted.');
});

/** Plan: what the browser says about its storage, with and without a storage manager; refused storage is a typed error. */
import { afterEach, expect, test, vi } from 'vitest';
import { ensureRoom, formatBytes, storageInfo } from './quota.ts';
import { Records } from './records.ts';
import { fixedStorage } from './testing.ts';

afterEach(() => vi.unstubAllGlobals());

test('usage, quota and persistence; zeros where there is no storage manager', async () => {
  expect(await storageInfo({ ...fixedStorage(10, 4), persisted: async () => true })).toEqual({
    usageBytes: 4,
    quotaBytes: 10,
    persisted: true,
  });
  vi.stubGlobal('navigator', {});
  expect(await storageInfo()).toEqual({ usageBytes: 0, quotaBytes: 0, persisted: false });
  await ensureRoom(1e15, undefined);
});

test('sizes as people say them', () => {
  expect([0, 999, 1000, 12_345_678, 1_720_000_000].map(formatBytes)).toEqual([
    '0 bytes',
    '999 bytes',
    '1.0 kB',
    '12.3 MB',
    '1.7 GB',
  ]);
});

test('a browser that refuses to open its storage is a typed error', async () => {
  vi.stubGlobal('indexedDB', {
    open: () => {
      throw new DOMException('Blocked by a setting.', 'SecurityError');
    },
  });
  await expect(new Records('refused').get(['a'])).rejects.toMatchObject({
    code: 'storage-unavailable',
    message: "This browser's storage cannot be used: Blocked by a setting.",
    remedy: 'Leave private browsing, allow this site to store data, then reload the page.',
  });
});

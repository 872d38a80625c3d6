/** Plan: what is reported, how often, and the speed over the window. The clock is made up. */
import { expect, test } from 'vitest';
import type { DownloadProgress } from '../worker/protocol.ts';
import { ProgressMeter } from './progress.ts';

test('bytes, speed over the last seconds, ten reports a second', () => {
  const reports: DownloadProgress[] = [];
  let now = 0;
  const meter = new ProgressMeter(
    'a/b',
    1000,
    (progress) => reports.push(progress),
    () => now,
  );
  meter.resume('unet', 400);
  expect(reports.at(-1)).toEqual({
    modelId: 'a/b',
    file: 'unet',
    loadedBytes: 400,
    totalBytes: 1000,
    bytesPerSecond: 0,
  });

  now = 50;
  meter.receive('unet', 10);
  expect(reports.length).toBe(1);
  now = 1000;
  meter.receive('vae', 90);
  expect(reports.at(-1)).toMatchObject({ file: 'vae', loadedBytes: 500, bytesPerSecond: 100 });

  meter.discard(90);
  now = 60_000;
  meter.receive('vae', 0);
  now = 61_000;
  meter.receive('vae', 50);
  expect(reports.at(-1)).toMatchObject({ loadedBytes: 460, bytesPerSecond: 50 });
});

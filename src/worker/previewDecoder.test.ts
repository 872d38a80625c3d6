// Plan: the decoder comes from a Hub, is kept over a reload, is lent to a model that has none, at once; another file is refused.
import 'fake-indexeddb/auto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { IDBFactory } from 'fake-indexeddb';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { type RunningHub, startHub } from '../../tools/hub/server.ts';
import { writeFiles } from '../../tools/hub/testing.ts';
import { fixtureTree } from '../../tools/testing.ts';
import { encodeSafetensors } from '../formats/safetensors.ts';
import { findTaesd } from '../models/taesd.ts';
import { PreviewDecoder } from './previewDecoder.ts';

function decoder(channels: number): Uint8Array {
  const conv = (name: string, shape: readonly number[]) => ({
    name,
    dtype: 'F32' as const,
    shape,
    data: new Float32Array(shape.reduce((a, b) => a * b, 1)),
  });
  return encodeSafetensors([conv('1.weight', [8, channels, 3, 3]), conv('19.weight', [3, 8, 3, 3])]);
}

const options = { signal: new AbortController().signal, onProgress: () => {} };
let root: string;
let hub: RunningHub;

beforeEach(async () => {
  vi.stubGlobal('indexedDB', new IDBFactory());
  root = await mkdtemp(join(tmpdir(), 'hub-'));
  await writeFiles(root, {
    'madebyollin/taesd/taesd_decoder.safetensors': decoder(4),
    'madebyollin/taesd3/taesd_decoder.safetensors': decoder(16),
  });
  hub = await startHub({ root });
});
afterEach(async () => {
  await hub.close();
  await rm(root, { recursive: true });
});

test('the decoder is fetched once, kept, and lent to models that are open already', async () => {
  const model = await fixtureTree('sd15-tiny/model');
  const previews = new PreviewDecoder();
  expect(await previews.isStored()).toBe(false);
  const lent = await previews.lendTo(model);
  expect(findTaesd(lent)).toBeNull();
  expect(lent.list()).toEqual(model.list());
  await previews.fetch({ id: 'madebyollin/taesd', endpoint: hub.url }, options);
  expect(findTaesd(lent)).toBe('taesd');
  expect((await lent.open('taesd/taesd_decoder.safetensors')).size).toBe(decoder(4).length);
  expect((await lent.open('unet/config.json')).size).toBeGreaterThan(0);
  const reloaded = new PreviewDecoder();
  expect(await reloaded.isStored()).toBe(true);
  expect(findTaesd(await reloaded.lendTo(model))).toBe('taesd');
});

test('a decoder of other latents is refused and nothing is kept', async () => {
  const previews = new PreviewDecoder();
  await expect(previews.fetch({ id: 'madebyollin/taesd3', endpoint: hub.url }, options)).rejects.toThrow(
    'taesd_decoder.safetensors of madebyollin/taesd3 is no TAESD decoder for Stable Diffusion 1.5.',
  );
  expect(await new PreviewDecoder().isStored()).toBe(false);
});

// Plan: a picture that goes through encoder and decoder in bands comes out as in one piece, for bands of equal and unequal height and
// several pictures; no buffer is larger than a band may be; nothing leaks.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { folderTree } from './nodeFiles.ts';
import { runtime } from '../gpu/runtime.ts';
import { tensorCount, trimMemory } from '../gpu/ops.ts';
import { expectClose, noise, useTestRuntime } from '../gpu/testing.ts';
import { openDiffusionModel } from '../models/repository.ts';
import type { AutoencoderKL } from '../models/vae.ts';

useTestRuntime();

let vae: AutoencoderKL;
beforeAll(async () => {
  const model = await openDiffusionModel(await folderTree('fixtures/sd15-tiny/model'));
  vae = await model.loadVae({ encoder: true, decoder: true });
});
afterAll(() => {
  vae.dispose();
});

/** Runs `f` in one piece and in bands; gives both results and the largest buffer made for the bands. */
async function both<T>(bandBytes: number, f: () => Promise<T>): Promise<{ whole: T; banded: T; largest: number }> {
  const normal = vae.bandBytes;
  const whole = await f();
  trimMemory();
  const { device } = runtime();
  const createBuffer = device.createBuffer.bind(device);
  let largest = 0;
  device.createBuffer = (descriptor) => {
    largest = Math.max(largest, descriptor.size);
    return createBuffer(descriptor);
  };
  vae.bandBytes = bandBytes;
  const before = tensorCount();
  try {
    const banded = await f();
    expect(tensorCount()).toBe(before);
    return { whole, banded, largest };
  } finally {
    vae.bandBytes = normal;
    device.createBuffer = createBuffer;
  }
}

/** Bytes of a row of the widest activation of pictures so wide. */
function rowBytes(n: number, width: number): number {
  const [first = 0, second = 0] = vae.config.blockOutChannels;
  return n * width * Math.max(first, second) * 4;
}

describe.each([
  { n: 1, height: 10, width: 6, rows: 3 },
  { n: 2, height: 8, width: 8, rows: 2 },
  { n: 1, height: 5, width: 4, rows: 1 },
])('$n pictures of $height x $width latents, $rows rows of latents to a band', ({ n, height, width, rows }) => {
  const bandBytes = (): number => rowBytes(n, width * vae.factor) * (rows * vae.factor + 4);

  test('decode', async () => {
    const latents = noise(n * height * width * vae.config.latentChannels, 1, 2);
    const { whole, banded, largest } = await both(bandBytes(), () => vae.decode(latents, [n, height, width]));
    expectClose(banded, whole, 2e-5, 'picture');
    expect(largest).toBeLessThanOrEqual(bandBytes());
  });

  test('encode', async () => {
    const [h, w] = [height * vae.factor, width * vae.factor];
    const images = noise(n * h * w * vae.config.inChannels, 2);
    const { whole, banded, largest } = await both(bandBytes(), () => vae.encode(images, [n, h, w]));
    expectClose(banded.mean, whole.mean, 2e-5, 'mean');
    expectClose(banded.logvar, whole.logvar, 2e-5, 'logvar');
    expect(banded.shape).toEqual(whole.shape);
    expect(largest).toBeLessThanOrEqual(bandBytes());
  });
});

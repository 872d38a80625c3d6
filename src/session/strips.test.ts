// Plan: what decoding costs, counted by hand for a small decoder, and in its known order of magnitude for SD1.5's; a large VAE
// is never loaded, a small one once, and its strips keep to their share of the time; every picture goes to its place.
import { afterEach, expect, test, vi } from 'vitest';
import type { DiffusionModel } from '../models/repository.ts';
import type { VaeConfig, VaeParts } from '../models/vae.ts';
import type { NoisyBatch } from '../trainer/batch.ts';
import { decodeMultiplyAdds, StripPainter } from './strips.ts';

const config: VaeConfig = {
  inChannels: 3,
  outChannels: 3,
  latentChannels: 4,
  blockOutChannels: [16, 32],
  layersPerBlock: 1,
  normGroups: 8,
  sampleSize: 64,
  scalingFactor: 1,
};

test('counts the 3x3 convolutions of every level', () => {
  const deep = 4 * 32 + 4 * 32 ** 2 + 4 * 32 ** 2;
  const shallow = 32 ** 2 + (32 * 16 + 16 ** 2 + 2 * 16 ** 2) + 16 * 3;
  expect(decodeMultiplyAdds(config, 10)).toBe(9 * (10 * deep + 40 * shallow));
});

test('SD1.5 at 512 px takes about 1.2e12', () => {
  const sd15 = { ...config, blockOutChannels: [128, 256, 512, 512], layersPerBlock: 2 };
  expect(decodeMultiplyAdds(sd15, 64 * 64) / 1.2e12).toBeCloseTo(1, 0);
});

const large = { ...config, blockOutChannels: [512, 512, 512, 512] };

/** A decoder of factor 1 that takes 50 ms and gives each latent pixel's first channels as colours. */
function setUp(vaeConfig: VaeConfig) {
  vi.useFakeTimers({ toFake: ['performance'] });
  const decode = vi.fn<(latents: Float32Array) => Promise<Float32Array>>(async (latents: Float32Array) => {
    vi.advanceTimersByTime(50);
    return Float32Array.from({ length: (latents.length / 4) * 3 }, (_, i) => latents[Math.floor(i / 3) * 4]!);
  });
  const dispose = vi.fn<() => void>();
  const loadVae = vi.fn<(parts: VaeParts) => Promise<unknown>>(async () => ({
    config: vaeConfig,
    factor: 1,
    decode,
    dispose,
  }));
  const model = { vaeConfig, loadVae } as unknown as DiffusionModel;
  // The constant row alone: every latent is painted 7, 8, 9.
  const matrix = new Float64Array(15);
  matrix.set([7, 8, 9], 12);
  return { painter: new StripPainter(model, { channels: 4, matrix }), loadVae, decode, dispose };
}

afterEach(() => {
  vi.useRealTimers();
});

/** Two images of 1 x 1 latents. */
const latents = (first: number, second: number): Float32Array => new Float32Array([first, 0, 0, 0, second, 0, 0, 0]);
const batch: Pick<NoisyBatch, 'shape' | 'clean' | 'noisy'> = {
  shape: [2, 1, 1, 4],
  clean: latents(-1, -0.6),
  noisy: latents(-0.2, 0),
};
const entries = [
  { image: 1, flipped: true, timestep: 10 },
  { image: 0, flipped: false, timestep: 20 },
];

test('a small VAE decodes, all pictures at once, each in its place', async () => {
  const { painter, loadVae, decode, dispose } = setUp(config);
  const strip = await painter.paint(entries, ['a', 'b'], batch, latents(0.2, 1));
  expect(strip.map(({ imageId, flipped, timestep }) => [imageId, flipped, timestep])).toEqual([
    ['b', true, 10],
    ['a', false, 20],
  ]);
  const shades = strip.map(({ clean, noisy, predicted }) => [clean.data[0], noisy.data[0], predicted.data[0]]);
  expect(shades).toEqual([
    [0, 102, 153],
    [51, 128, 255],
  ]);
  await painter.paint(entries, ['a', 'b'], batch, latents(0, 0));
  expect(loadVae).toHaveBeenCalledExactlyOnceWith({ encoder: false, decoder: true });
  expect(decode).toHaveBeenCalledTimes(2);
  painter.dispose();
  expect(dispose).toHaveBeenCalledTimes(1);
});

test('decoded strips take a tenth of the time, the first one apart', async () => {
  const { painter, decode } = setUp(config);
  const paint = () => painter.paint(entries, ['a', 'b'], batch, latents(0, 0));
  expect(await paint()).toHaveLength(2);
  expect(await paint()).toHaveLength(2);
  vi.advanceTimersByTime(449);
  expect(await paint()).toEqual([]);
  expect(decode).toHaveBeenCalledTimes(2);
  vi.advanceTimersByTime(1);
  expect(await paint()).toHaveLength(2);
});

test('a large VAE is left alone: the affine preview paints', async () => {
  const { painter, loadVae } = setUp(large);
  const wide: typeof batch = {
    ...batch,
    shape: [1, 40, 40, 4],
    clean: new Float32Array(6400),
    noisy: new Float32Array(6400),
  };
  const [entry] = await painter.paint(entries.slice(0, 1), ['a', 'b'], wide, new Float32Array(6400));
  expect(entry?.predicted).toMatchObject({ width: 40, height: 40 });
  expect([...(entry?.predicted.data.subarray(0, 3) ?? [])]).toEqual([7, 8, 9]);
  expect(loadVae).not.toHaveBeenCalled();
});

test('a strip painted for its memory alone waits for none and lets none wait', async () => {
  const { painter } = setUp(config);
  const paint = (timed: boolean) => painter.paint(entries, ['a', 'b'], batch, latents(0, 0), timed);
  for (let trial = 0; trial < 3; trial++) expect(await paint(false)).toHaveLength(2);
  expect(await paint(true)).toHaveLength(2);
  expect(await paint(true)).toHaveLength(2);
  expect(await paint(true)).toEqual([]);
  expect(await paint(false)).toHaveLength(2);
});

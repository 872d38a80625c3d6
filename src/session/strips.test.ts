// Plan: what decoding costs, counted by hand for a small decoder, and in its known order of magnitude for SD1.5's.
import { expect, test } from 'vitest';
import type { VaeConfig } from '../models/vae.ts';
import { decodeMultiplyAdds } from './strips.ts';

const config: VaeConfig = {
  inChannels: 3,
  outChannels: 3,
  latentChannels: 4,
  blockOutChannels: [16, 32],
  layersPerBlock: 1,
  normGroups: 8,
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

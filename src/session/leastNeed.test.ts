// Plan: SD1.5's least need against what is known of it (bench/memory.test.ts holds it to what is measured), how it grows with the options, and the
// sentences where a GPU has less.
import { expect, test } from 'vitest';
import { sd15Configs } from '../../tools/fullsize/configs.ts';
import { defaultTrainOptions, type TrainOptions } from '../core/trainOptions.ts';
import { parseClipTextConfig } from '../models/clip.ts';
import { ConfigReader } from '../models/config.ts';
import { parseUNetConfig } from '../models/unetConfig.ts';
import { parseVaeConfig } from '../models/vae.ts';
import { leastNeed, sizeProblem } from './leastNeed.ts';

const read = (path: keyof typeof sd15Configs): ConfigReader => new ConfigReader('SD1.5', sd15Configs[path]);
const model = {
  unetConfig: parseUNetConfig(read('unet/config.json')),
  vaeConfig: parseVaeConfig(read('vae/config.json')),
  textConfig: parseClipTextConfig(read('text_encoder/config.json')),
};
const needOf = (changes: Partial<TrainOptions>) =>
  leastNeed(model, { ...defaultTrainOptions, trainBatchSize: 1, ...changes });

test('SD1.5: the weights, what learns, the values between the segments', () => {
  const { bytes, largestBuffer } = needOf({});
  // 859 million weights of two bytes, 797 thousand parameters of rank 4 five times, and tens of megabytes for a picture.
  expect(bytes).toBeGreaterThan(1.72e9 + 5 * 4 * 797_184);
  expect(bytes).toBeLessThan(1.95e9);
  expect(largestBuffer).toBe(64 * 64 * 8 * 320 * 4);
  const perPicture = needOf({ trainBatchSize: 2 }).bytes - bytes;
  expect(needOf({ trainBatchSize: 4 }).bytes - bytes).toBeCloseTo(3 * perPicture, 0);
  expect(needOf({ resolution: 256 }).bytes - bytes).toBeCloseTo(-0.75 * perPicture, 0);
  expect(needOf({ trainBatchSize: 4 }).largestBuffer).toBe(4 * largestBuffer);
  expect(bytes - needOf({ weightsPrecision: 'int8' }).bytes).toBeGreaterThan(8e8);
  expect(needOf({ rank: 8 }).bytes - bytes).toBe(5 * 4 * 797_184);
  expect(bytes - needOf({ optimizer: { ...defaultTrainOptions.optimizer, name: 'lion' } }).bytes).toBe(4 * 797_184);
  // Twelve layers of CLIP in halves.
  const textEncoder = { train: true, learningRate: 1e-4 };
  expect(needOf({ textEncoder }).bytes - bytes).toBeGreaterThan(12 * 7_000_000 * 2);
});

test('buckets have the square’s area; small pictures that stay small may have less', () => {
  const buckets = { ...defaultTrainOptions.buckets, enabled: true };
  const [square, bucket] = [needOf({}), needOf({ buckets })];
  expect(bucket.largestBuffer / square.largestBuffer).toBeCloseTo(0.9);
  expect(needOf({ buckets: { ...buckets, noUpscale: true } }).largestBuffer).toBe(square.largestBuffer / 4);
});

test('says what is missing', () => {
  const need = { bytes: 2e9, largestBuffer: 168e6 };
  expect(sizeProblem(need, { bytes: null, largestBuffer: 2e9 })).toBeNull();
  expect(sizeProblem(need, { bytes: 4e9, largestBuffer: 2e9 })).toBeNull();
  expect(sizeProblem(need, { bytes: 1e9, largestBuffer: 2e9 })).toBe(
    'A step needs at least 2.0 GB on the GPU, which has 1.0 GB.',
  );
  expect(sizeProblem(need, { bytes: null, largestBuffer: 128e6 })).toBe(
    'A step needs 168.0 MB in one buffer, and this GPU allows 128.0 MB.',
  );
});

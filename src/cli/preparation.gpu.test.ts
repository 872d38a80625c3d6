/**
 * Plan: on the tiny model. Images of several shapes go into buckets, with masks, repeats, chosen and random crops; some are held out; class
 * images are drawn once and kept; shuffled captions are encoded ahead and again when they are used up, the same as one by one; epochs
 * become steps. A training with all of it draws the same twice, and leaves no tensor behind.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { folderTree } from './nodeFiles.ts';
import type { RgbImage } from '../core/image.ts';
import { defaultTrainOptions, type TrainOptions } from '../core/trainOptions.ts';
import { openDevice } from '../gpu/device.ts';
import { tensorCount } from '../gpu/ops.ts';
import { startRuntime, stopRuntime } from '../gpu/runtime.ts';
import { CaptionEmbeddings } from '../latents/captionEmbeddings.ts';
import { openDiffusionModel, type DiffusionModel } from '../models/repository.ts';
import type { ClassImageStore } from '../session/classImages.ts';
import { TrainControl } from '../session/control.ts';
import { prepare } from '../session/preparation.ts';
import { trainLora, type TrainingImage, type TrainingRequest } from '../session/training.ts';

let model: DiffusionModel;

beforeAll(async () => {
  await startRuntime(await openDevice(navigator.gpu));
  model = await openDiffusionModel(await folderTree('fixtures/sd15-tiny/model'));
});

afterAll(() => {
  stopRuntime();
});

const options: TrainOptions = {
  ...defaultTrainOptions,
  resolution: 64,
  buckets: { enabled: true, minSide: 32, maxSide: 128, step: 16, noUpscale: false },
  rank: 2,
  alpha: 2,
  trainBatchSize: 2,
  maxTrainSteps: 4,
  flipProbability: 0.5,
  maskedLoss: true,
};

function picture(width: number, height: number, value: (x: number, y: number) => number): RgbImage {
  const data = Uint8Array.from({ length: width * height * 3 }, (_, i) => {
    const pixel = Math.floor(i / 3);
    return value(pixel % width, Math.floor(pixel / width)) + (i % 3);
  });
  return { width, height, data };
}

const image = (id: string, width: number, height: number, more: Partial<TrainingImage> = {}): TrainingImage => ({
  id,
  caption: `${id}, a picture, evening, red`,
  pixels: async () => picture(width, height, (x, y) => (x * 3 + y * 2) % 250),
  ...more,
});

const images = [
  image('square', 100, 100, { repeats: 3 }),
  image('masked', 80, 80, { mask: async () => picture(40, 40, (x) => (x < 20 ? 250 : 0)) }),
  image('wide', 160, 90, { crop: { x: 0.1, y: 0.5, zoom: 2 } }),
  image('tall', 90, 160),
  image('held', 100, 100, { heldOut: true }),
];

const requestFor = (changes: Partial<TrainOptions> = {}, more: Partial<TrainingRequest> = {}): TrainingRequest => ({
  model,
  images,
  triggerWord: 'sks',
  options: { ...options, ...changes },
  ...more,
});

const quietly = { signal: new AbortController().signal, onStatus: () => undefined };

/** Class images in memory; counts what is asked. */
function classStore(): ClassImageStore & { readonly kept: RgbImage[]; readonly keys: Set<string> } {
  const kept: RgbImage[] = [];
  const keys = new Set<string>();
  return {
    kept,
    keys,
    load: async (key, count) => {
      keys.add(key);
      return kept.slice(0, count);
    },
    keep: async (_key, index, drawn) => void (kept[index] = drawn),
  };
}

describe('preparing', () => {
  test('buckets, masks, repeats, held out images', async () => {
    const before = tensorCount();
    const { plan, examples, imageIds, validation, embeddings } = await prepare(requestFor(), quietly);
    expect(tensorCount()).toBe(before);
    expect(imageIds).toEqual(['square', 'masked', 'wide', 'tall']);
    expect(validation.imageIds).toEqual(['held']);
    expect(plan.images).toMatchObject([
      { bucket: '64x64', repeats: 3 },
      { bucket: '64x64', repeats: 1 },
      { bucket: '80x48', repeats: 1 },
      { bucket: '48x80', repeats: 1 },
    ]);
    const [square, masked, wide] = examples.map(({ crops }) => crops[0]);
    // Sides in latent pixels, by the one that the square has for its 64.
    const latentSide = (pixels: number): number => (pixels * (square?.latents.width ?? 0)) / 64;
    expect(wide?.latents).toMatchObject({ width: latentSide(80), height: latentSide(48) });
    expect(square?.mask).toBeNull();
    const weights = masked?.mask ?? new Float32Array();
    const side = masked?.latents.width ?? 0;
    expect(weights).toHaveLength(side ** 2);
    expect(weights[0]).toBeGreaterThan(0.95);
    expect(weights[side - 1]).toBeLessThan(0.05);
    expect(embeddings.get('sks, square, a picture, evening, red').tokens).toBe(77);
    expect(validation.examples[0]?.crops[0]?.latents.flipped).toBeNull();
  });

  test('random crops: several places each, but for the image that was cropped by hand', async () => {
    const { examples, plan } = await prepare(requestFor({ randomCrop: true }), quietly);
    expect(examples.map(({ crops }) => crops.length > 1)).toEqual([false, false, false, true]);
    expect(plan.images.map(({ crops }) => crops)).toEqual(examples.map(({ crops }) => crops.length));
  });

  test('epochs become steps', async () => {
    // 4 shows of squares in 2 batches, 1 of each other shape.
    const { options: resolved } = await prepare(requestFor({ maxTrainEpochs: 3 }), quietly);
    expect(resolved.maxTrainSteps).toBe(12);
  });

  test('nothing to train on', async () => {
    const all = images.map((one) => ({ ...one, heldOut: true }));
    await expect(prepare(requestFor({}, { images: all }), quietly)).rejects.toThrow(
      'All 5 images are kept for validation, so none is left to train on.',
    );
  });

  test('class images are drawn once, by what they depend on, and weigh what was asked', async () => {
    const store = classStore();
    const priorPreservation = { enabled: true, weight: 0.5, classPrompt: 'a picture', classImages: 3 };
    const changes = { priorPreservation, sampleInferenceSteps: 2, sampleGuidanceScale: 2 };
    const request = requestFor(changes, { classImageStore: store });
    const { plan, examples, imageIds } = await prepare(request, quietly);
    expect(store.kept).toHaveLength(3);
    expect(store.kept[0]).toMatchObject({ width: 64, height: 64 });
    expect(store.kept[0]?.data).not.toEqual(store.kept[1]?.data);
    expect(imageIds.slice(4)).toEqual(['class image 1', 'class image 2', 'class image 3']);
    expect(plan.images.map(({ isClass }) => isClass)).toEqual([false, false, false, false, true, true, true]);
    expect(examples.map(({ weight }) => weight)).toEqual([1, 1, 1, 1, 0.5, 0.5, 0.5]);
    const [first] = store.kept;
    await prepare(requestFor({ ...changes, seed: 7 }, { classImageStore: store }), quietly);
    expect(store.kept[0]).toBe(first);
    expect(store.keys.size).toBe(1);
  });
});

test('captions ahead: bounded, encoded anew when they are used up, the same as each by itself', async () => {
  let loads = 0;
  const bytes = 4 * model.textConfig.maxPositions * model.textConfig.hiddenSize;
  const encoding = {
    load: () => {
      loads++;
      return model.loadTextEncoder();
    },
    tokenizer: model.tokenizer,
    clipSkip: 1,
    embeddingBytes: bytes,
    maxBytes: 4 * bytes,
  };
  const batches = [
    ['a', 'b'],
    ['b', 'c'],
    ['d', 'e'],
    ['a', 'kept'],
  ];
  const upcoming = (from: number) => (): readonly (readonly string[])[] => batches.slice(from);
  const ahead = new CaptionEmbeddings(encoding);
  await ahead.keep(['kept', ''], batches);
  expect(loads).toBe(1);
  await ahead.ready(upcoming(0));
  await ahead.ready(upcoming(1));
  expect(loads).toBe(1);
  const a = ahead.get('a').values;
  expect(() => ahead.get('e')).toThrow('the embedding of “e”');
  await ahead.ready(upcoming(2));
  expect(loads).toBe(2);
  await ahead.ready(upcoming(3));
  expect(loads).toBe(2);
  expect(ahead.get('a').values).toEqual(a);
  expect(() => ahead.get('b')).toThrow('the embedding of “b”');
  const alone = new CaptionEmbeddings(encoding);
  await alone.keep(['e'], []);
  expect(ahead.get('e').values).toEqual(alone.get('e').values);
});

test('a training with buckets, masks, class images, dropped and shuffled captions draws the same twice', async () => {
  const changes: Partial<TrainOptions> = {
    priorPreservation: { enabled: true, weight: 1, classPrompt: 'a picture', classImages: 2 },
    captionDropout: 0.3,
    shuffleTags: true,
    randomCrop: true,
    gradientAccumulationSteps: 2,
    sampleInferenceSteps: 2,
  };
  const store = classStore();
  const run = async (): Promise<{ readonly losses: number[]; readonly bytes: unknown }> => {
    const losses: number[] = [];
    const events = { onStep: ({ loss }: { readonly loss: number }) => void losses.push(loss) };
    const request = requestFor(changes, { classImageStore: store });
    const { modules } = await trainLora(request, new TrainControl(), events);
    return { losses, bytes: modules };
  };
  const before = tensorCount();
  const first = await run();
  expect(tensorCount()).toBe(before);
  expect(first.losses).toHaveLength(4);
  expect(first.losses.every((loss) => loss > 0.1 && loss < 5)).toBe(true);
  expect(await run()).toEqual(first);
});

/**
 * Plan: buckets and choices of kohya's sd-scripts (numbers from a run of its rules); no upscaling; the square without buckets; a crop moved
 * and zoomed stays inside; every picture covers its bucket; the summary.
 */
import { describe, expect, it } from 'vitest';
import {
  bucketName,
  bucketOf,
  bucketSidesFor,
  bucketSizes,
  centreCrop,
  countBuckets,
  cropFractions,
  maxZoom,
  moveCrop,
  placeImage,
  type Size,
  type SizeOptions,
} from './buckets.ts';

const kohya: SizeOptions = {
  resolution: 512,
  buckets: { enabled: true, minSide: 256, maxSide: 1024, step: 64, noUpscale: false },
};
const noUpscale: SizeOptions = { ...kohya, buckets: { ...kohya.buckets, noUpscale: true } };
const square: SizeOptions = { ...kohya, buckets: { ...kohya.buckets, enabled: false } };
const size = (text: string): Size => {
  const [width = 0, height = 0] = text.split('x').map(Number);
  return { width, height };
};

describe('buckets', () => {
  it('are those of sd-scripts at 512', () => {
    expect(bucketSizes(kohya).map(bucketName).join(' ')).toBe(
      '256x832 256x896 256x960 256x1024 320x704 320x768 384x640 448x576 512x512 576x448 640x384 704x320 768x320 832x256 896x256 960x256 1024x256',
    );
  });

  it('of a small model have small steps', () => {
    expect(bucketSidesFor(64, 8)).toEqual({ step: 8, minSide: 32, maxSide: 128 });
    expect(bucketSidesFor(512, 8)).toEqual({ step: 64, minSide: 256, maxSide: 1024 });
    const sizes = bucketSizes({ resolution: 64, buckets: { ...kohya.buckets, ...bucketSidesFor(64, 8) } });
    expect(sizes.map(bucketName).join(' ')).toBe(
      '32x104 32x112 32x120 32x128 40x88 40x96 48x80 56x72 64x64 72x56 80x48 88x40 96x40 104x32 112x32 120x32 128x32',
    );
  });

  it.each([
    ['1000x1000', '512x512', '512x512'],
    ['1920x1080', '640x384', '683x384'],
    ['1080x1920', '384x640', '384x683'],
    ['3000x2000', '640x384', '640x427'],
    ['640x480', '576x448', '597x448'],
    ['448x576', '448x576', '448x576'],
    ['4000x500', '1024x256', '2048x256'],
  ])('%s goes into %s, resized to %s', (image, bucket, resized) => {
    expect(bucketOf(size(image), kohya)).toEqual({ bucket: size(bucket), resized: size(resized) });
  });

  it.each([
    ['1920x1080', '640x384', '683x384'],
    ['3000x2000', '576x384', '576x384'],
    ['300x200', '256x192', '300x200'],
    ['640x480', '512x384', '512x384'],
    ['500x520', '448x512', '500x520'],
  ])('without upscaling %s goes into %s, resized to %s', (image, bucket, resized) => {
    expect(bucketOf(size(image), noUpscale)).toEqual({ bucket: size(bucket), resized: size(resized) });
  });

  it('enlarges what is smaller than the smallest bucket even so', () => {
    // Longer than sixty-four to one: nothing of a step is left of its short side.
    expect(bucketOf(size('8192x64'), noUpscale).bucket).toEqual(size('1024x64'));
    expect(bucketOf(size('40x100'), noUpscale)).toEqual({ bucket: size('64x128'), resized: size('64x160') });
  });

  it('are one square when they are off', () => {
    expect(bucketOf(size('61x47'), { ...square, resolution: 32 })).toEqual({
      bucket: size('32x32'),
      resized: size('41x32'),
    });
  });

  it('are covered by every picture', () => {
    const short: string[] = [];
    for (const options of [kohya, noUpscale, square])
      for (let width = 16; width < 2000; width += 37)
        for (let height = 16; height < 2000; height += 41) {
          const { bucket, resized } = bucketOf({ width, height }, options);
          if (resized.width < bucket.width || resized.height < bucket.height) short.push(`${width}x${height}`);
        }
    expect(short).toEqual([]);
  });

  it('are counted, the fullest first', () => {
    const images = ['512x512', '640x480', '1000x1000', '1280x960', '300x300'].map(size);
    expect(countBuckets(images, kohya).map(({ bucket, count }) => `${count} in ${bucketName(bucket)}`)).toEqual([
      '3 in 512x512',
      '2 in 576x448',
    ]);
  });
});

describe('crops', () => {
  it('lie in the middle: sd-scripts rounds down, torchvision to the even number', () => {
    expect(placeImage(size('640x480'), kohya, null)).toMatchObject({ left: 10, top: 0 });
    expect(placeImage(size('35x32'), { ...square, resolution: 32 }, null)).toMatchObject({ left: 2, top: 0 });
    expect(placeImage(size('33x32'), { ...square, resolution: 32 }, null)).toMatchObject({ left: 0, top: 0 });
  });

  it('chosen in the middle equal those that nobody chose', () => {
    for (const image of ['1920x1080', '640x480', '1000x1000'])
      expect(placeImage(size(image), kohya, centreCrop)).toMatchObject({
        bucket: placeImage(size(image), kohya, null).bucket,
        resized: placeImage(size(image), kohya, null).resized,
      });
  });

  it('move, zoom, and stay inside the picture', () => {
    expect(placeImage(size('1000x1000'), kohya, { x: 0.25, y: 0.75, zoom: 2 })).toEqual({
      bucket: size('512x512'),
      resized: size('1024x1024'),
      left: 0,
      top: 512,
    });
    expect(placeImage(size('640x480'), kohya, { x: 5, y: -5, zoom: 1 })).toMatchObject({ left: 21, top: 0 });
    for (const zoom of [0.9, maxZoom + 1])
      expect(() => placeImage(size('640x480'), kohya, { ...centreCrop, zoom })).toThrow(/within its picture/);
  });

  it('at random reach both ends', () => {
    const placement = placeImage(size('640x480'), kohya, null);
    expect(moveCrop(placement, 0, 0)).toMatchObject({ left: 0, top: 0 });
    expect(moveCrop(placement, 0.999_999, 0.999_999)).toMatchObject({ left: 21, top: 0 });
  });

  it('are fractions of the picture', () => {
    expect(cropFractions(placeImage(size('1000x1000'), kohya, { x: 0.5, y: 0.5, zoom: 2 }))).toEqual({
      left: 0.25,
      top: 0.25,
      width: 0.5,
      height: 0.5,
    });
  });
});

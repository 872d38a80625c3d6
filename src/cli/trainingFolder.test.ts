// Plan: a folder with every kind of bad file: each is named with what is wrong and what to do, and the rest goes on; captions
// come from .txt files; a folder without any usable picture is refused.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { encodePng } from '../formats/png.ts';
import { InvalidArgumentError } from 'commander';
import { loraOption, whole } from './options.ts';
import { formatDuration } from './progress.ts';
import { NoImagesError, openTrainingFolder } from './trainingFolder.ts';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'loratory-'));
});

afterEach(() => rm(folder, { recursive: true }));

const png = (width: number, height: number): Uint8Array<ArrayBuffer> =>
  encodePng({ width, height, data: new Uint8Array(width * height * 3).fill(90) });

test('bad files are named, the rest goes on', async () => {
  const good = png(40, 30);
  await writeFile(join(folder, 'a-good.png'), good);
  await writeFile(join(folder, 'a-good.txt'), '  a grey box \n');
  await writeFile(join(folder, 'b-text.png'), 'this is no picture');
  await writeFile(join(folder, 'c-cut.png'), good.subarray(0, good.length >> 1));
  await sharp({ create: { width: 12_000, height: 20, channels: 3, background: 'red' } })
    .png()
    .toFile(join(folder, 'd-huge.png'));
  await writeFile(join(folder, 'e-tiny.png'), png(4, 4));
  await sharp({ create: { width: 50, height: 50, channels: 4, background: { r: 255, g: 0, b: 0, alpha: 0.5 } } })
    .webp({ lossless: true })
    .toFile(join(folder, 'f-clear.webp'));
  await writeFile(join(folder, 'notes.txt'), 'not a caption of anything');

  const { images, refused, uncaptioned } = await openTrainingFolder(folder);
  expect(images.map(({ id, caption }) => [id, caption])).toEqual([
    ['a-good.png', 'a grey box'],
    ['f-clear.webp', ''],
  ]);
  expect(uncaptioned).toEqual(['f-clear.webp']);
  expect(refused.map(({ code, message }) => [code, message])).toEqual([
    ['not-an-image', 'b-text.png is not a PNG, JPEG, WebP, GIF or AVIF picture.'],
    ['corrupt-image', 'c-cut.png is damaged and cannot be decoded.'],
    ['image-too-large', 'd-huge.png is 12000 x 20 pixels; at most 8192 on a side are taken.'],
    ['image-too-small', 'e-tiny.png is only 4 x 4 pixels; at least 16 on a side are needed.'],
  ]);
  for (const { remedy } of refused) expect(remedy.length).toBeGreaterThan(20);
  // Half-clear red over white.
  expect(Array.from((await images[1]!.pixels()).data.subarray(0, 3))).toEqual([255, 127, 127]);
});

test('no usable picture, no folder', async () => {
  await expect(openTrainingFolder(folder)).rejects.toThrow(NoImagesError);
  await writeFile(join(folder, 'x.jpg'), 'no');
  await expect(openTrainingFolder(folder)).rejects.toThrow(`None of the 1 pictures in ${folder} can be used.`);
  await expect(openTrainingFolder(join(folder, 'nowhere'))).rejects.toThrow('There is no folder at');
});

test('values on the command line', () => {
  expect(whole('12')).toBe(12);
  expect(() => whole('1.5')).toThrow(InvalidArgumentError);
  expect(() => whole('')).toThrow('A whole number is wanted.');
  expect(loraOption('a.safetensors:0.8')).toEqual([{ path: 'a.safetensors', weight: 0.8 }]);
  expect(loraOption('dir:x/b.safetensors', [{ path: 'a', weight: 1 }])).toEqual([
    { path: 'a', weight: 1 },
    { path: 'dir:x/b.safetensors', weight: 1 },
  ]);
  expect(loraOption('a.safetensors:-1')).toEqual([{ path: 'a.safetensors', weight: -1 }]);
  expect([formatDuration(65), formatDuration(3725)]).toEqual(['1:05', '1:02:05']);
});

// Plan: a folder with every kind of bad file: each is named with what is wrong and what to do, and the rest goes on; captions, masks and
// repeats by kohya's and Hugging Face's conventions; every kind of picture; a folder without any usable picture is refused.
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { strToU8, zipSync } from 'fflate';
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
  await sharp({ create: { width: 17_000, height: 20, channels: 3, background: 'red' } })
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
    ['image-too-large', 'd-huge.png is 17000 x 20 pixels; at most 16384 on a side and 120 million in all are taken.'],
    ['image-too-small', 'e-tiny.png is only 4 x 4 pixels; at least 16 on a side are needed.'],
  ]);
  for (const { remedy } of refused) expect(remedy.length).toBeGreaterThan(20);
  // Half-clear red over white.
  expect(Array.from((await images[1]!.pixels()).data.subarray(0, 3))).toEqual([255, 127, 127]);
});

test("kohya's folders, masks, metadata and a picture that is there twice", async () => {
  await mkdir(join(folder, '10_sks box'));
  await writeFile(join(folder, '10_sks box', 'a.png'), png(40, 30));
  const mask = await sharp({ create: { width: 32, height: 24, channels: 3, background: 'white' } })
    .png()
    .toBuffer();
  await writeFile(join(folder, '10_sks box', 'a.mask.png'), mask);
  await writeFile(join(folder, 'b.png'), png(30, 40));
  await writeFile(join(folder, 'b.mask.png'), mask);
  await writeFile(join(folder, 'c.png'), png(40, 30));
  await writeFile(join(folder, 'd.png'), png(50, 50));
  await writeFile(join(folder, 'metadata.jsonl'), '{"file_name": "d.png", "text": "a square"}');

  const { images, refused } = await openTrainingFolder(folder);
  expect(images.map(({ id, caption, repeats }) => [id, caption, repeats])).toEqual([
    ['10_sks box/a.png', 'sks box', 10],
    ['b.png', '', null],
    ['d.png', 'a square', null],
  ]);
  expect(await images[0]?.mask?.()).toMatchObject({ width: 32, height: 24 });
  expect(images[1]?.mask).toBeNull();
  expect(refused.map(({ message }) => message)).toEqual([
    'The mask b.mask.png is 32 x 24 pixels, which is not the shape of its image (30 x 40).',
    'c.png is the same picture as 10_sks box/a.png, which is here already.',
  ]);

  await writeFile(join(folder, 'set.zip'), zipSync({ 'set/z.png': png(20, 20), 'set/z.txt': strToU8('zipped') }));
  const zipped = await openTrainingFolder(join(folder, 'set.zip'));
  expect(zipped.images.map(({ id, caption }) => [id, caption])).toEqual([['set/z.png', 'zipped']]);
});

test('pictures as cameras and painters make them: turned, of four inks, moving, huge, over any colour', async () => {
  const side = { create: { width: 40, height: 20, channels: 3, background: 'red' } } as const;
  await sharp(side).jpeg().withMetadata({ orientation: 6 }).toFile(join(folder, 'turned.jpg'));
  await sharp(side).toColourspace('cmyk').jpeg().toFile(join(folder, 'inks.jpg'));
  const frames = Buffer.concat([Buffer.alloc(20 * 20 * 3, 255), Buffer.alloc(20 * 20 * 3, 0)]);
  await sharp(frames, { raw: { width: 20, height: 40, channels: 3, pageHeight: 20 } })
    .gif()
    .toFile(join(folder, 'moving.gif'));
  await sharp({ create: { width: 8200, height: 41, channels: 3, background: 'blue' } })
    .png()
    .toFile(join(folder, 'huge.png'));
  await sharp({ create: { width: 20, height: 20, channels: 4, background: { r: 0, g: 0, b: 0, alpha: 0 } } })
    .png()
    .toFile(join(folder, 'clear.png'));

  const { images } = await openTrainingFolder(folder, [0, 255, 0]);
  const pixels = Object.fromEntries(
    await Promise.all(images.map(async (image) => [image.id, await image.pixels()] as const)),
  );
  expect(pixels['turned.jpg']).toMatchObject({ width: 20, height: 40 });
  const ink = [...(pixels['inks.jpg']?.data.subarray(0, 3) ?? [])];
  expect(ink[0]).toBeGreaterThan(180);
  expect(ink[2]).toBeLessThan(90);
  expect(pixels['moving.gif']).toMatchObject({ width: 20, height: 20 });
  expect(pixels['moving.gif']?.data[0]).toBe(255);
  expect(pixels['huge.png']).toMatchObject({ width: 4096, height: 20 });
  expect([...(pixels['clear.png']?.data.subarray(0, 3) ?? [])]).toEqual([0, 255, 0]);
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

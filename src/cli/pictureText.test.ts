// Tests formats/pictureText.ts and formats/exif.ts here, where sharp is known.
// Plan: settings in WebP come back, beyond Latin too, and the file stays a picture that sharp (libwebp) decodes to the same pixels, with
// transparent parts and without; EXIF that sharp itself writes into WebP and JPEG is read, in both orders of bytes; damage is no
// settings, never a crash.
import sharp from 'sharp';
import { expect, test } from 'vitest';
import { encodeUserComment, readUserComment } from '../formats/exif.ts';
import { readPictureParameters, withWebpParameters } from '../formats/pictureText.ts';
import { encodePng } from '../formats/png.ts';

const text = 'ein Kätzchen, 猫 🐈\nNegative prompt: dog\nSteps: 2, Sampler: Euler, Seed: 5';

const square = (channels: 3 | 4) =>
  sharp({ create: { width: 9, height: 7, channels, background: { r: 200, g: 90, b: 30, alpha: 0.5 } } });

test.each([
  ['lossy', 3, {}],
  ['lossy with alpha', 4, {}],
  ['lossless', 3, { lossless: true }],
  ['lossless with alpha', 4, { lossless: true }],
] as const)('%s WebP with settings', async (_name, channels, options) => {
  const webp = await square(channels).webp(options).toBuffer();
  const written = withWebpParameters(webp, text);
  expect(readPictureParameters(written, 'a.webp')).toBe(text);
  const pixels = (bytes: Uint8Array) => sharp(bytes).ensureAlpha().raw().toBuffer();
  expect(await pixels(written)).toEqual(await pixels(webp));
  expect(await sharp(written).metadata()).toMatchObject({ format: 'webp', width: 9, height: 7 });
  // libwebp finds the very EXIF that was written.
  const { exif } = await sharp(written).metadata();
  expect(readUserComment(new Uint8Array(exif!))).toBe(text);
  // Written twice, the second text stands.
  expect(readPictureParameters(withWebpParameters(written, 'other'), 'a.webp')).toBe('other');
});

test('EXIF of other writers', async () => {
  const exif = Buffer.from(encodeUserComment(text));
  const jpeg = await square(3).jpeg().toBuffer();
  const segment = Buffer.concat([Buffer.from([0xff, 0xe1, 0, 0]), Buffer.from('Exif\0\0'), exif]);
  segment.writeUInt16BE(segment.length - 2, 2);
  const withExif = Buffer.concat([jpeg.subarray(0, 2), segment, jpeg.subarray(2)]);
  expect(readPictureParameters(withExif, 'a.jpg')).toBe(text);
  expect(readPictureParameters(jpeg, 'a.jpg')).toBeNull();
  // Little-endian, in ASCII: 8 of header, a directory of one entry, another, then the text.
  const little = Buffer.alloc(44 + 13);
  little.write('II*\0', 'latin1');
  little.writeUInt32LE(8, 4);
  for (const [at, tag, type, count, value] of [
    [8, 0x8769, 4, 1, 26],
    [26, 0x9286, 7, 13, 44],
  ] as const) {
    little.writeUInt16LE(1, at);
    little.writeUInt16LE(tag, at + 2);
    little.writeUInt16LE(type, at + 4);
    little.writeUInt32LE(count, at + 6);
    little.writeUInt32LE(value, at + 10);
  }
  little.write('ASCII\0\0\0Steps', 44, 'latin1');
  expect(readUserComment(little)).toBe('Steps');
});

test('UTF-16 in the other order is told apart', () => {
  const exif = encodeUserComment('Steps: 2');
  const swapped = exif.slice();
  for (let i = 52; i < exif.length; i += 2) [swapped[i], swapped[i + 1]] = [exif[i + 1]!, exif[i]!];
  expect(readUserComment(swapped)).toBe('Steps: 2');
});

test('damage is no settings; what is no picture says so', async () => {
  const written = withWebpParameters(await square(3).webp().toBuffer(), text);
  for (let length = 30; length < written.length; length += 7)
    expect(readPictureParameters(written.subarray(0, length), 'a.webp')).toBeNull();
  const exif = encodeUserComment(text);
  for (let i = 0; i < 44; i++) {
    const damaged = exif.slice();
    damaged[i]! ^= 0xff;
    const read = readUserComment(damaged);
    expect(read === null || typeof read === 'string').toBe(true);
  }
  expect(() => readPictureParameters(new TextEncoder().encode('GIF89a and more'), 'a.gif')).toThrow(
    'a.gif is no PNG, WebP or JPEG file.',
  );
  const png = encodePng({ width: 1, height: 1, data: new Uint8Array(3) }, { parameters: text });
  expect(readPictureParameters(png, 'a.png')).toBe(text);
});

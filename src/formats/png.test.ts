/**
 * Plan: what is encoded, libvips (sharp) decodes to the same pixels, whatever filter the rows want; texts come back; sizes are read from
 * files that sharp wrote in every format; every cut of such a file, and noise, gives a size or null but never an exception.
 */
import { inflateSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { sharp } from '../../tools/sharp.ts';
import { InvariantError } from '../core/errors.ts';
import type { RgbImage } from '../core/image.ts';
import { TorchGenerator } from '../core/rng.ts';
import { crc32, encodePng, readImageSize } from './png.ts';

function picture(width: number, height: number, at: (x: number, y: number, c: number) => number): RgbImage {
  const data = Uint8Array.from({ length: width * height * 3 }, (_, i) => {
    const pixel = Math.floor(i / 3);
    return at(pixel % width, Math.floor(pixel / width), i % 3);
  });
  return { width, height, data };
}

const random = new TorchGenerator(5);
const PICTURES: readonly (readonly [string, RgbImage])[] = [
  ['one pixel', picture(1, 1, (_x, _y, c) => 100 * c)],
  ['a ramp across', picture(37, 5, (x) => x * 5)],
  ['a ramp down', picture(5, 37, (_x, y) => y * 5)],
  ['both', picture(19, 23, (x, y, c) => x * 3 + y * 7 + c)],
  ['noise', picture(33, 31, () => random.random() & 255)],
];

function chunksOf(png: Uint8Array): { type: string; data: Uint8Array }[] {
  const view = new DataView(png.buffer);
  const chunks = [];
  for (let at = 8; at < png.length;) {
    const length = view.getUint32(at);
    const body = png.slice(at + 4, at + 8 + length);
    expect(view.getUint32(at + 8 + length)).toBe(crc32(body));
    chunks.push({ type: String.fromCharCode(...body.slice(0, 4)), data: body.slice(4) });
    at += 12 + length;
  }
  return chunks;
}

describe('PNG', () => {
  it.each(PICTURES)('comes back from another decoder: %s', async (_what, image) => {
    const png = encodePng(image);
    const { data, info } = await sharp(png).removeAlpha().raw().toBuffer({ resolveWithObject: true });
    expect([info.width, info.height, info.channels]).toEqual([image.width, image.height, 3]);
    expect(new Uint8Array(data)).toEqual(image.data);
    expect(readImageSize(png)).toEqual({ format: 'png', width: image.width, height: image.height });
  });

  it('picks a filter for each row', () => {
    const filters = (image: RgbImage): number[] => {
      const rows = inflateSync(chunksOf(encodePng(image)).find(({ type }) => type === 'IDAT')!.data);
      return Array.from({ length: image.height }, (_, y) => rows[y * (image.width * 3 + 1)]!);
    };
    expect(filters(PICTURES[1]![1])).toEqual([1, 2, 2, 2, 2]);
    expect(
      filters(PICTURES[2]![1])
        .slice(1)
        .every((filter) => filter !== 0),
    ).toBe(true);
  });

  it('knows the checksum of its check string', () => {
    expect(crc32(new TextEncoder().encode('123456789'))).toBe(0xcbf43926);
  });

  it('carries texts, as Latin-1 where that suffices', () => {
    const png = encodePng(PICTURES[0]![1], { parameters: 'café\nSteps: 20', Comment: '猫 🐱' });
    const [, plain, unicode] = chunksOf(png);
    expect(plain!.type).toBe('tEXt');
    expect(new TextDecoder('latin1').decode(plain!.data)).toBe('parameters\0café\nSteps: 20');
    expect(unicode!.type).toBe('iTXt');
    expect(new TextDecoder().decode(unicode!.data)).toBe('Comment\0\0\0\0\0猫 🐱');
    expect(() => encodePng(PICTURES[0]![1], { '': 'x' })).toThrow(InvariantError);
  });

  it('refuses a picture whose bytes are not those of its size', () => {
    expect(() => encodePng({ width: 2, height: 1, data: new Uint8Array(3) })).toThrow(InvariantError);
  });
});

describe('image sizes', () => {
  const source = sharp(picture(61, 47, (x, y) => x + y).data, { raw: { width: 61, height: 47, channels: 3 } });
  const FILES = [
    ['png', async () => source.clone().png().toBuffer()],
    ['jpeg', async () => source.clone().jpeg().toBuffer()],
    [
      'jpeg',
      async () =>
        source
          .clone()
          .jpeg({ progressive: true })
          .withExif({ IFD0: { Copyright: 'x'.repeat(500) } })
          .toBuffer(),
    ],
    ['webp', async () => source.clone().webp().toBuffer()],
    ['webp', async () => source.clone().webp({ lossless: true }).toBuffer()],
    ['webp', async () => source.clone().ensureAlpha(0.5).webp().toBuffer()],
    ['gif', async () => source.clone().gif().toBuffer()],
    ['avif', async () => source.clone().avif().toBuffer()],
  ] as const;

  it.each(FILES)('are read from %s', async (format, make) => {
    expect(readImageSize(new Uint8Array(await make()))).toEqual({ format, width: 61, height: 47 });
  });

  it.each(FILES)('are read or not, but nothing is thrown, from every cut of %s', async (format, make) => {
    const bytes = new Uint8Array(await make());
    const seen = new Set<string>();
    for (let length = 0; length < Math.min(bytes.length, 1000); length++) {
      seen.add(JSON.stringify(readImageSize(bytes.slice(0, length))));
    }
    expect([...seen].sort()).toEqual(['null', JSON.stringify({ format, width: 61, height: 47 })].sort());
  });

  it('are not found in noise behind any signature', async () => {
    for (const [, make] of FILES) {
      const bytes = new Uint8Array(await make());
      for (let round = 0; round < 300; round++) {
        const mutant = bytes.slice(0, 400);
        for (let edits = 0; edits < 20; edits++)
          mutant[12 + (random.random() % (mutant.length - 12))] = random.random() & 255;
        const size = readImageSize(mutant);
        expect(size === null || (size.width > 0 && size.height > 0)).toBe(true);
      }
    }
  });

  it('are null for what is no image', () => {
    for (const text of ['', 'hello, world', '%PDF-1.7 and more text', '<svg xmlns="x"></svg>']) {
      expect(readImageSize(new TextEncoder().encode(text))).toBeNull();
    }
  });
});

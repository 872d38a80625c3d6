/**
 * Encodes pictures as PNG, the same bytes in a browser and in Node, with texts in chunks of their own: other tools read a picture's
 * prompt and seed from one called `parameters`. Source: PNG 3rd edition (W3C).
 */
import { zlibSync } from 'fflate';
import type { RgbImage } from '../core/image.ts';
import { invariant } from '../core/invariant.ts';

export { readImageSize } from './imageSize.ts';

const SIGNATURE = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];
const CHANNELS = 3;

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  return crc;
});

/** The checksum of PNG and zip (ISO 3309). */
export function crc32(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (let i = 0; i < bytes.length; i++) crc = CRC_TABLE[(crc ^ bytes[i]!) & 0xff]! ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}

function chunk(type: string, data: Uint8Array): Uint8Array {
  const out = new Uint8Array(12 + data.length);
  const view = new DataView(out.buffer);
  view.setUint32(0, data.length);
  for (let i = 0; i < 4; i++) out[4 + i] = type.charCodeAt(i);
  out.set(data, 8);
  view.setUint32(8 + data.length, crc32(out.subarray(4, 8 + data.length)));
  return out;
}

function latin1(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

/** tEXt holds Latin-1, iTXt any Unicode: readers expect the first wherever it suffices. */
function textChunk(keyword: string, text: string): Uint8Array {
  invariant(/^[ -~]{1,79}$/.test(keyword), 'A PNG keyword has 1 to 79 printable characters', { keyword });
  const plain = text.replaceAll('\0', '');
  if (/^[\n\x20-\x7e\xa0-\xff]*$/.test(plain)) return chunk('tEXt', latin1(`${keyword}\0${plain}`));
  // Two zeros: not compressed, by method 0. Then an empty language and an empty translated keyword.
  const head = latin1(`${keyword}\0\0\0\0\0`);
  const body = new TextEncoder().encode(plain);
  const data = new Uint8Array(head.length + body.length);
  data.set(head);
  data.set(body, head.length);
  return chunk('iTXt', data);
}

/** The Paeth predictor: whichever of left, above, upper left is nearest to left + above - upper left. */
function paeth(left: number, above: number, corner: number): number {
  const estimate = left + above - corner;
  const [a, b, c] = [Math.abs(estimate - left), Math.abs(estimate - above), Math.abs(estimate - corner)];
  if (a <= b && a <= c) return left;
  return b <= c ? above : corner;
}

const PREDICTORS: readonly ((left: number, above: number, corner: number) => number)[] = [
  () => 0,
  (left) => left,
  (_left, above) => above,
  (left, above) => (left + above) >> 1,
  paeth,
];

/** Each row as differences to a prediction, by whichever of PNG's five filters leaves the smallest sum of them. */
function filterRows({ width, height, data }: RgbImage): Uint8Array {
  const stride = width * CHANNELS;
  const out = new Uint8Array(height * (stride + 1));
  const attempt = new Uint8Array(stride);
  for (let y = 0; y < height; y++) {
    const row = y * stride;
    let best = Infinity;
    PREDICTORS.forEach((predict, filter) => {
      let cost = 0;
      for (let i = 0; i < stride; i++) {
        const left = i < CHANNELS ? 0 : data[row + i - CHANNELS]!;
        const above = y === 0 ? 0 : data[row - stride + i]!;
        const corner = y === 0 || i < CHANNELS ? 0 : data[row - stride + i - CHANNELS]!;
        const difference = (data[row + i]! - predict(left, above, corner)) & 0xff;
        attempt[i] = difference;
        cost += difference < 128 ? difference : 256 - difference;
      }
      if (cost >= best) return;
      best = cost;
      out[y * (stride + 1)] = filter;
      out.set(attempt, y * (stride + 1) + 1);
    });
  }
  return out;
}

/** The picture as a PNG file. `texts` go into it as text chunks by keyword, before the pixels. */
export function encodePng(image: RgbImage, texts: Readonly<Record<string, string>> = {}): Uint8Array<ArrayBuffer> {
  const { width, height, data } = image;
  invariant(
    width > 0 && height > 0 && data.length === width * height * CHANNELS,
    'A picture has the bytes of its size',
    {
      width,
      height,
      bytes: data.length,
    },
  );
  const header = new Uint8Array(13);
  new DataView(header.buffer).setUint32(0, width);
  new DataView(header.buffer).setUint32(4, height);
  header.set([8, 2, 0, 0, 0], 8); // 8 bits, RGB, deflate, adaptive filters, not interlaced.
  const parts = [
    Uint8Array.from(SIGNATURE),
    chunk('IHDR', header),
    ...Object.entries(texts).map(([keyword, text]) => textChunk(keyword, text)),
    chunk('IDAT', zlibSync(filterRows(image), { level: 6 })),
    chunk('IEND', new Uint8Array()),
  ];
  const out = new Uint8Array(parts.reduce((total, part) => total + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

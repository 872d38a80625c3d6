// Plan: texts come back as they were, whatever is in them; links that were cut, changed or built to explode are refused by name.
import { deflateSync } from 'fflate';
import { expect, it, test } from 'vitest';
import { packText, PackedTextError, unpackText } from './packedText.ts';

it.each(['', 'a', '{"caption":"ein Hund, état, 猫 🐱"}', 'x'.repeat(200_000)])('comes back: %.20s', (text) => {
  const packed = packText(text);
  expect(packed).toMatch(/^[\w-]+$/);
  expect(unpackText(packed)).toBe(text);
});

test('every cut is noticed', () => {
  const packed = packText(JSON.stringify(Array.from({ length: 50 }, (_, i) => ({ i, caption: `caption ${i * i}` }))));
  for (let end = 1; end < packed.length; end += 7) {
    expect(() => unpackText(packed.slice(0, end)), `cut at ${end}`).toThrow(PackedTextError);
  }
});

it.each([
  ['abc def', 'it has characters that no link has'],
  ['____', 'it cannot be unpacked'],
  [packText('xyz').slice(0, 5), 'its end is missing'],
])('%s is refused: %s', (packed, reason) => {
  expect(() => unpackText(packed)).toThrow(`The link is damaged: ${reason}.`);
});

test('a small link that would become huge is refused', () => {
  const bytes = deflateSync(new Uint8Array(40_000_000), { level: 9 });
  const packed = btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(''));
  const link = packed.replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '');
  expect(link.length).toBeLessThan(100_000);
  expect(() => unpackText(link)).toThrow('what is in it is too large');
});

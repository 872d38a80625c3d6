/**
 * Plan: what A1111 documents, and its corners (escapes, unbalanced brackets, BREAK inside and outside of brackets, odd numbers);
 * printed random parts read back; nested weights multiply; prompts without syntax are unchanged; random strings never throw.
 */
import { describe, expect, it } from 'vitest';
import { TorchGenerator } from '../core/rng.ts';
import { isBreak, parseAttention, type WeightedText } from './attention.ts';

const read = (prompt: string): (readonly [string, number])[] =>
  parseAttention(prompt).map(({ text, weight }) => [text, weight]);

const CASES: readonly (readonly [string, readonly (readonly [string, number])[]])[] = [
  ['normal text', [['normal text', 1]]],
  ['', [['', 1]]],
  ['()', [['', 1]]],
  [
    'an (important) word',
    [
      ['an ', 1],
      ['important', 1.1],
      [' word', 1],
    ],
  ],
  ['(unbalanced', [['unbalanced', 1.1]]],
  ['[unbalanced', [['unbalanced', 1 / 1.1]]],
  ['un)bal]anced', [['un)bal]anced', 1]]],
  [String.raw`\(literal\]`, [['(literal]', 1]]],
  [String.raw`\\ \a \: end\ `, [[String.raw`\ a : end `, 1]]],
  ['trailing\\', [['trailing', 1]]],
  ['(unnecessary)(parens)', [['unnecessaryparens', 1.1]]],
  [
    'a (((house:1.3)) [on] a (hill:0.5), sun, (((sky))).',
    [
      ['a ', 1],
      ['house', 1.5730000000000004],
      [' ', 1.1],
      ['on', 1],
      [' a ', 1.1],
      ['hill', 0.55],
      [', sun, ', 1.1],
      ['sky', 1.4641000000000006],
      ['.', 1.1],
    ],
  ],
  ['(a: 1.2 )', [['a', 1.2]]],
  [
    '(a:-1)(b:+2)(c:.5)',
    [
      ['a', -1],
      ['b', 2],
      ['c', 0.5],
    ],
  ],
  ['a:1.2)', [['a:1.2)', 1]]],
  ['[a:1.2)', [['a:1.2)', 1 / 1.1]]],
  ['(a:b)', [['a:b', 1.1]]],
  ['(a:1.2.3)', [['a:1.2.3)', 1.1]]],
  [
    'a BREAK b',
    [
      ['a', 1],
      ['BREAK', -1],
      ['b', 1],
    ],
  ],
  ['aBREAK BREAKb 猫BREAK', [['aBREAK BREAKb 猫BREAK', 1]]],
  [
    'BREAK',
    [
      ['', 1],
      ['BREAK', -1],
      ['', 1],
    ],
  ],
  [
    '(a BREAK b:2)',
    [
      ['a', 2],
      ['BREAK', -2],
      ['b', 2],
    ],
  ],
];

describe('attention weights', () => {
  it.each(CASES)('reads %j as A1111 does', (prompt, parts) => expect(read(prompt)).toEqual(parts));

  it('knows a break, unless brackets have weighted it', () => {
    expect(parseAttention('a BREAK b').map(isBreak)).toEqual([false, true, false]);
    expect(parseAttention('(a BREAK b)').map(isBreak)).toEqual([false, false, false]);
  });

  it('reads printed parts back', () => {
    const random = new TorchGenerator(3);
    for (let n = 0; n < 500; n++) {
      const parts = randomParts(random);
      expect(parseAttention(print(parts))).toEqual(parts);
    }
  });

  it('multiplies nested weights', () => {
    const random = new TorchGenerator(4);
    for (let n = 0; n < 200; n++) {
      let prompt = 'x';
      let product = 1;
      for (let depth = random.random() % 6; depth > 0; depth--) {
        const [before, after, factor] = [
          ['(', ')', 1.1],
          ['[', ']', 1 / 1.1],
          ['(', ':0.7)', 0.7],
          ['(', ': 2 )', 2],
        ][random.random() % 4] as [string, string, number];
        prompt = before + prompt + after;
        product *= factor;
      }
      expect(read(prompt)).toEqual([['x', product]]);
    }
  });

  it('never throws; all text without syntax stays', () => {
    const random = new TorchGenerator(5);
    const alphabet = ['(', ')', '[', ']', ':', '1.2', '\\', 'BREAK', ' ', 'a', '猫', '🐱', '\n', '.', '-'];
    for (let n = 0; n < 3000; n++) {
      const pieces = Array.from({ length: random.random() % 20 }, () => alphabet[random.random() % alphabet.length]!);
      const parts = parseAttention(pieces.join(''));
      expect(parts.length).toBeGreaterThan(0);
      const letters = pieces.filter((piece) => /[a猫🐱]/u.test(piece)).join('');
      const kept = parts.map(({ text }) => text).join('');
      expect(Array.from(kept.matchAll(/[a猫🐱]/gu), ([letter]) => letter).join('')).toBe(letters);
      const plain = pieces.filter((piece) => !/[()[\]\\]|BREAK/.test(piece)).join('');
      expect(parseAttention(plain)).toEqual([{ text: plain, weight: 1 }]);
    }
  });
});

function randomParts(random: TorchGenerator): WeightedText[] {
  const texts = ['a ', 'two words', '(', ')', '[x]', '\\', ': ', 'a: 1.5)', '猫', ', '];
  const parts: WeightedText[] = [];
  for (let n = 1 + (random.random() % 6); n > 0; n--) {
    const weight = (random.random() % 40) / 16 - 0.5;
    if (weight === parts.at(-1)?.weight) continue;
    parts.push({ text: texts[random.random() % texts.length]!, weight });
  }
  return parts;
}

function print(parts: readonly WeightedText[]): string {
  return parts.map(({ text, weight }) => `(${text.replace(/[\\()[\]]/g, String.raw`\$&`)}:${weight})`).join('');
}

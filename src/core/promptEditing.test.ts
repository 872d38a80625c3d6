// Plan: weights up and down on words, selections, existing brackets and LoRA tags; brackets go at 1; completion of `<lora:`.
import { describe, expect, test } from 'vitest';
import { changeWeight, completeLora, loraQuery, type EditedText } from './promptEditing.ts';

/** `|` marks the caret or both ends of the selection. */
function marked(text: string): EditedText {
  const [before = '', selected = '', ...rest] = text.split('|');
  if (rest.length === 0) return { text: before + selected, start: before.length, end: before.length };
  return { text: before + selected + rest.join('|'), start: before.length, end: before.length + selected.length };
}

const shown = ({ text, start, end }: EditedText): string =>
  start === end
    ? `${text.slice(0, start)}|${text.slice(start)}`
    : `${text.slice(0, start)}|${text.slice(start, end)}|${text.slice(end)}`;

describe('changeWeight', () => {
  test.each([
    ['a c|at sits', 0.1, 'a (|cat|:1.1) sits'],
    ['a (|cat|:1.1) sits', 0.1, 'a (|cat|:1.2) sits'],
    ['a (|cat|:1.1) sits', -0.1, 'a |cat| sits'],
    ['a |cat| sits', -0.1, 'a (|cat|:0.9) sits'],
    ['|a fluffy cat |on grass', 0.1, '(|a fluffy cat|:1.1) on grass'],
    ['|(red hat:1.3)|', 0.1, '(|red hat|:1.4)'],
    // The brackets stand around more than the word: it gets its own.
    ['(red h|at:1.3)', 0.1, '(red (|hat|:1.1):1.3)'],
    ['(ca|t)', 0.1, '(|cat|:1.2)'],
    [String.raw`\(ca|t\)`, 0.1, String.raw`\((|cat|:1.1)\)`],
    ['(|cat|:0.05)', -0.1, '(|cat|:0)'],
    ['one, |, two', 0.1, 'one, |, two'],
    ['<lora:st|yle:0.8> x', 0.1, '<lora:st|yle:0.85> x'],
    ['<lora:st|yle> x', -0.1, '<lora:st|yle:0.95> x'],
  ])('%s %f', (text, delta, expected) => {
    expect(shown(changeWeight(marked(text), delta))).toBe(expected);
  });

  test('up and down again is where it began', () => {
    const once = changeWeight(marked('a |cat| sits'), 0.1);
    expect(changeWeight(once, -0.1).text).toBe('a cat sits');
  });
});

describe('LoRA tags', () => {
  test('what is being typed', () => {
    expect(loraQuery('a cat <lora:pix', 15)).toEqual({ start: 6, query: 'pix' });
    expect(loraQuery('a cat <lor', 10)).toEqual({ start: 6, query: '' });
    expect(loraQuery('a cat <lora:pix:0.5', 19)).toBeNull();
    expect(loraQuery('a < b', 5)).toBeNull();
    expect(loraQuery('a cat', 5)).toBeNull();
  });

  test('completed, over what was there', () => {
    expect(shown(completeLora('a <lora:pi, dog', 2, 10, 'Pixel art', 0.8))).toBe('a <lora:Pixel art:0.8>|, dog');
    // A colon would end the name.
    expect(shown(completeLora('<lora:', 0, 6, 'Cat: red, old=1', 1))).toBe('<lora:Cat red old1:1>|');
    expect(shown(completeLora('a <lora:pix:1> dog', 2, 11, 'Pixel art', 1))).toBe('a <lora:Pixel art:1>| dog');
  });
});

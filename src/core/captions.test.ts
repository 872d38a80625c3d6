// Plan: tags of a caption; adding, removing and replacing one, whatever its case, never twice; how often each occurs.
import { expect, test } from 'vitest';
import { countTags, replacedTag, tagsOf, withoutTag, withTag } from './captions.ts';

test('tags stand between commas', () => {
  expect(tagsOf(' a cat,  red hat,, ')).toEqual(['a cat', 'red hat']);
  expect(tagsOf('')).toEqual([]);
});

test.each([
  ['a cat', 'red hat', 'end', 'a cat, red hat'],
  ['a cat', 'red hat', 'start', 'red hat, a cat'],
  ['', 'red hat', 'end', 'red hat'],
  ['a cat,red hat', 'Red Hat', 'end', 'a cat,red hat'],
  ['a cat', 'red hat, a cat, snow', 'end', 'a cat, red hat, snow'],
] as const)('%j with %j at the %s is %j', (caption, tag, place, expected) => {
  expect(withTag(caption, tag, place)).toBe(expected);
});

test.each([
  ['a cat, red hat, snow', 'Red hat', 'a cat, snow'],
  ['a cat,  snow', 'hat', 'a cat,  snow'],
  ['red hat', 'red hat', ''],
])('%j without %j is %j', (caption, tag, expected) => {
  expect(withoutTag(caption, tag)).toBe(expected);
});

test.each([
  ['a cat, red hat', 'red hat', 'blue hat', 'a cat, blue hat'],
  ['a cat, red hat, blue hat', 'red hat', 'Blue hat', 'a cat, Blue hat'],
  ['a cat', 'dog', 'wolf', 'a cat'],
  ['a cat, hat', 'hat', 'red hat, wool', 'a cat, red hat, wool'],
])('%j with %j replaced by %j is %j', (caption, tag, replacement, expected) => {
  expect(replacedTag(caption, tag, replacement)).toBe(expected);
});

test('counts captions, not occurrences, and the most frequent come first', () => {
  expect(countTags(['a cat, snow', 'Snow, a dog, snow', ''])).toEqual([
    { tag: 'snow', count: 2 },
    { tag: 'a cat', count: 1 },
    { tag: 'a dog', count: 1 },
  ]);
});

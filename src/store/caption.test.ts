import { describe, expect, it } from 'vitest';
import { captionWithTrigger } from '../core/captions.ts';
import { fileStem, suggestSamplePrompts } from './caption.ts';

describe('captionWithTrigger', () => {
  it.each([
    ['sks', 'a dog', 'sks, a dog'],
    [' sks ', '', 'sks'],
    ['', ' a dog ', 'a dog'],
    ['', '', ''],
  ])('%j + %j -> %j', (word, caption, text) => expect(captionWithTrigger(word, caption)).toBe(text));
});

describe('fileStem', () => {
  it.each([
    ['tom.png', 'tom'],
    ['cats/tom.the.cat.jpeg', 'tom.the.cat'],
    ['cats\\tom.txt', 'tom'],
    ['.hidden', '.hidden'],
    ['tom', 'tom'],
  ])('%s -> %s', (name, stem) => expect(fileStem(name)).toBe(stem));
});

describe('suggestSamplePrompts', () => {
  it('takes the first three different captions, with seeds that count up', () => {
    expect(suggestSamplePrompts('sks', ['a', 'a', 'b', 'c', 'd'], 42)).toEqual([
      { prompt: 'sks, a', seed: 42 },
      { prompt: 'sks, b', seed: 43 },
      { prompt: 'sks, c', seed: 44 },
    ]);
  });

  it('fills up with the trigger word, once, and never suggests nothing', () => {
    expect(suggestSamplePrompts('sks', ['', 'a'], 1).map(({ prompt }) => prompt)).toEqual(['sks', 'sks, a']);
    expect(suggestSamplePrompts('sks', ['a'], 1).map(({ prompt }) => prompt)).toEqual(['sks, a', 'sks']);
    expect(suggestSamplePrompts('', ['', ' '], 1)).toEqual([{ prompt: 'a photo', seed: 1 }]);
  });
});

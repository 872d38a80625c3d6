/**
 * Plan: with CLIP's full vocabulary. A plain prompt has the ids that it has without chunks; long ones are cut after 75 tokens, or
 * after a comma up to 20 back; BREAK pads; weights fall on their tokens; embeddings take their rows and are never torn apart;
 * random prompts keep all their tokens; the counter says the same.
 */
import { describe, expect, it } from 'vitest';
import { fixtureBytes, fixtureJson } from '../../tools/testing.ts';
import { TorchGenerator } from '../core/rng.ts';
import { createClipTokenizer } from '../models/tokenizer.ts';
import { chunkPrompt, type PromptChunk, type TokenEmbedding } from './chunks.ts';
import { countTokens } from './countTokens.ts';

const tokenizer = createClipTokenizer({
  vocab: fixtureJson('clip-tokenizer/vocab.json') as Record<string, number>,
  merges: new TextDecoder().decode(fixtureBytes('clip-tokenizer/merges.txt')),
  config: fixtureJson('clip-tokenizer/tokenizer_config.json') as Record<string, unknown>,
});
const words = (n: number): string => Array.from({ length: n }, () => 'cat').join(' ');
const sizes = (prompt: string): number[] => chunkPrompt(prompt, tokenizer).map(({ tokens }) => tokens);
const idsOf = (chunks: readonly PromptChunk[]): number[] =>
  chunks.flatMap(({ ids, tokens }) => [...ids.subarray(1, tokens + 1)]);

function embedding(name: string, count: number): TokenEmbedding {
  return { name, vectors: Array.from({ length: count }, (_, i) => Float32Array.of(i, i)) };
}

describe('chunks', () => {
  it.each(['', 'a photo of a cat', words(75), 'café 日本, don’t!'])('has the ids of one chunk for %j', (prompt) => {
    const [chunk, ...more] = chunkPrompt(prompt, tokenizer);
    expect(more).toEqual([]);
    expect([...chunk!.ids]).toEqual([...tokenizer.encode(prompt).ids]);
    expect(chunk!.weights.every((weight) => weight === 1)).toBe(true);
  });

  it('cuts after 75 tokens, each chunk with its start, end and padding', () => {
    const chunks = chunkPrompt(words(160), tokenizer);
    expect(chunks.map(({ tokens }) => tokens)).toEqual([75, 75, 10]);
    for (const { ids, tokens } of chunks) {
      expect([ids.length, ids[0], ids[tokens + 1], ids[76]]).toEqual([77, 49406, 49407, 49407]);
    }
  });

  it.each([
    ['a comma 20 tokens before the cut', `${words(55)}, ${words(30)}`, [56, 30]],
    ['a comma 21 tokens before the cut', `${words(54)}, ${words(30)}`, [75, 10]],
    ['a comma as the last token', `${words(74)}, ${words(5)}`, [75, 5]],
    ['a comma just behind the cut', `${words(75)}, ${words(5)}`, [75, 6]],
    ['the last of two commas', `${words(60)}, ${words(5)}, ${words(20)}`, [67, 20]],
    ['a comma that ends the prompt', `${words(10)}, ${words(64)}`, [75]],
    ['no comma in what moved on', `${words(60)}, ${words(14)} ${words(70)}`, [61, 75, 9]],
  ])('breaks at %s', (_what, prompt, expected) => expect(sizes(prompt)).toEqual(expected));

  it.each([
    ['a BREAK b', [1, 1]],
    ['a BREAK', [1]],
    ['BREAK a', [0, 1]],
    ['a BREAK BREAK b', [1, 0, 1]],
    [`${words(75)} BREAK b`, [75, 1]],
    ['(a BREAK b)', [3]],
  ])('%j', (prompt, expected) => expect(sizes(prompt)).toEqual(expected));

  it('puts weights on their tokens', () => {
    const [chunk] = chunkPrompt('a (red cat:1.5) [here]', tokenizer);
    expect([...chunk!.weights.subarray(0, 6)]).toEqual([1, 1, 1.5, 1.5, Math.fround(1 / 1.1), 1]);
  });

  it('moves weights with the tokens behind a comma', () => {
    const [first, second] = chunkPrompt(`${words(60)}, (${words(20)}:2)`, tokenizer);
    expect([first!.tokens, second!.tokens]).toEqual([61, 20]);
    expect(new Set(first!.weights)).toEqual(new Set([1]));
    expect([...second!.weights.subarray(0, 22)]).toEqual([1, ...Array.from({ length: 20 }, () => 2), 1]);
  });

  it('places an embedding where its name stands, the longest name first', () => {
    const embeddings = [embedding('style', 2), embedding('style-x 2', 3)];
    const [chunk] = chunkPrompt('a (style:1.2) b style-x 2', tokenizer, embeddings);
    expect(chunk!.tokens).toBe(7);
    expect([...chunk!.rows].map(([at, { name, index }]) => [at, name, index])).toEqual([
      [2, 'style', 0],
      [3, 'style', 1],
      [5, 'style-x 2', 0],
      [6, 'style-x 2', 1],
      [7, 'style-x 2', 2],
    ]);
    expect([...chunk!.weights.subarray(1, 5)].map((weight) => weight.toFixed(1))).toEqual(['1.0', '1.2', '1.2', '1.0']);
  });

  it('never tears an embedding apart', () => {
    const chunks = chunkPrompt(`${words(70)} style cat`, tokenizer, [embedding('style', 8)]);
    expect(chunks.map(({ tokens, rows }) => [tokens, rows.size])).toEqual([
      [70, 0],
      [9, 8],
    ]);
    const moved = chunkPrompt(`${words(60)}, style ${words(20)}`, tokenizer, [embedding('style', 8)]);
    expect(moved.map(({ tokens, rows }) => [tokens, rows.size])).toEqual([
      [61, 0],
      [28, 8],
    ]);
    expect(moved[1]!.rows.get(1)).toMatchObject({ name: 'style', index: 0 });
  });

  it('loses no token', () => {
    const random = new TorchGenerator(8);
    const vocabulary = ['cat', ',', 'extraordinarily', '猫', "don't", '8k', '!!', 'a'];
    for (let n = 0; n < 60; n++) {
      const prompt = Array.from({ length: random.random() % 200 }, () => vocabulary[random.random() % 8]).join(' ');
      const chunks = chunkPrompt(prompt, tokenizer);
      expect(idsOf(chunks)).toEqual(tokenizer.tokenize(prompt));
      for (const { tokens } of chunks) expect(tokens).toBeLessThanOrEqual(75);
    }
  });
});

describe('the token counter', () => {
  it('counts tokens and shows what each chunk reads', () => {
    expect(countTokens('A (Red:1.5) CAT <lora:x:1>BREAK café 🐱', tokenizer)).toEqual({
      tokens: 5,
      chunks: [
        {
          tokens: 3,
          capacity: 75,
          spans: [
            { text: 'a', weight: 1 },
            { text: 'red', weight: 1.5 },
            { text: 'cat', weight: 1 },
          ],
        },
        { tokens: 2, capacity: 75, spans: [{ text: 'café 🐱', weight: 1 }] },
      ],
    });
  });

  it('counts an empty prompt as one empty chunk', () => {
    expect(countTokens('', tokenizer)).toEqual({ tokens: 0, chunks: [{ tokens: 0, capacity: 75, spans: [] }] });
  });

  it('counts the longest text of a prompt that changes', () => {
    expect(countTokens('[a:b c d:0.5]', tokenizer).tokens).toBe(3);
    expect(countTokens('[a|b c|d e f g]', tokenizer).tokens).toBe(4);
  });

  it('names embeddings', () => {
    const { chunks } = countTokens('a style b', tokenizer, { embeddings: [embedding('style', 3)] });
    expect(chunks[0]).toEqual({
      tokens: 5,
      capacity: 75,
      spans: ['a', 'style', 'b'].map((text) => ({ text, weight: 1 })),
    });
  });
});

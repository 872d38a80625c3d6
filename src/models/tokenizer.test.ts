/**
 * Plan: each of the 100 prompts recorded from transformers with CLIP's full vocabulary; the prompts of the tiny model, whose vocabulary
 * is cut; what configs may say; a very long word; malformed files.
 */
import { describe, expect, it } from 'vitest';
import { fixtureBytes, fixtureJson, golden, oracleCases } from '../../tools/testing.ts';
import { type ClipTokenizer, createClipTokenizer, TokenizerFormatError } from './tokenizer.ts';

function load(folder: string, change: Record<string, unknown> = {}): ClipTokenizer {
  return createClipTokenizer({
    vocab: fixtureJson(`${folder}/vocab.json`) as Record<string, number>,
    merges: new TextDecoder().decode(fixtureBytes(`${folder}/merges.txt`)),
    config: { ...(fixtureJson(`${folder}/tokenizer_config.json`) as Record<string, unknown>), ...change },
  });
}

interface PromptCase {
  readonly id: string;
  readonly text: string;
  readonly ids: readonly number[];
  readonly tokens: number;
  readonly tokens_before_truncation: number;
}
const { cases } = fixtureJson('clip-tokenizer/cases.json') as { readonly cases: readonly PromptCase[] };
const full = load('clip-tokenizer');

describe('CLIP tokenizer', () => {
  it('has a hundred recorded prompts to match', () => expect(cases).toHaveLength(100));

  it.each(cases)('yields the ids of transformers: $id', ({ text, ids, tokens, tokens_before_truncation }) => {
    const encoded = full.encode(text);
    expect([...encoded.ids]).toEqual(ids);
    expect(encoded.tokens).toBe(tokens);
    expect(encoded.tokensBeforeTruncation).toBe(tokens_before_truncation);
  });

  it.each(oracleCases('text/'))('reads the tiny model with its cut vocabulary: $id', async (c) => {
    const encoded = load('sd15-tiny/model/tokenizer').encode(c.params['prompt'] as string);
    expect([...encoded.ids]).toEqual([...(await golden(c, 'ids')).values]);
    expect(encoded.tokens).toBe(c.params['tokens']);
  });

  it('gives the same ids again from its cache', () => {
    expect(full.encode('a photo of a cat')).toEqual(full.encode('a photo of a cat'));
  });

  it('reads limit and padding from the config', () => {
    const padded = load('clip-tokenizer', { model_max_length: 6, pad_token: '!' }).encode('cat');
    expect([...padded.ids]).toEqual([49406, 2368, 49407, 0, 0, 0]);
    expect(load('clip-tokenizer', { model_max_length: 1e30, pad_token: undefined }).modelMaxLength).toBe(77);
  });

  it('takes a word of 50,000 letters', () => {
    const { tokens, tokensBeforeTruncation } = full.encode('x'.repeat(50_000));
    expect(tokens).toBe(77);
    expect(tokensBeforeTruncation).toBeGreaterThan(1000);
  });

  it('says what is wrong with malformed files', () => {
    const vocab = { '<|startoftext|>': 0, '<|endoftext|>': 1 };
    expect(() => createClipTokenizer({ vocab, merges: '#version: 0.2\na b c\n', config: {} })).toThrow(
      new TokenizerFormatError('merges.txt has the line "a b c"'),
    );
    expect(() => createClipTokenizer({ vocab: {}, merges: '', config: {} })).toThrow(
      'vocab.json has no id for <|startoftext|>',
    );
  });
});

/** What a prompt's counter shows: how many chunks the text encoder will read, and which words each of them holds. */
import { defined } from '../core/invariant.ts';
import type { ClipTokenizer } from '../models/tokenizer.ts';
import { chunkPrompt, type PromptChunk, type TokenEmbedding } from './chunks.ts';
import { extractLoraTags } from './loraTags.ts';
import { schedulePrompt } from './schedule.ts';

export interface TokenCount {
  /** Tokens of the prompt in all chunks, without their starts, ends and padding. */
  readonly tokens: number;
  readonly chunks: readonly ChunkCount[];
}

export interface ChunkCount {
  readonly tokens: number;
  /** How many it could hold: 75. */
  readonly capacity: number;
  /** What it reads, normalized as the tokenizer does, in stretches of one weight each. */
  readonly spans: readonly TextSpan[];
}

export interface TextSpan {
  readonly text: string;
  readonly weight: number;
}

/** Counts a prompt; of one that changes over `steps`, the longest of its texts. No model weights are needed. */
export function countTokens(
  prompt: string,
  tokenizer: ClipTokenizer,
  { steps = 20, embeddings = [] }: { readonly steps?: number; readonly embeddings?: readonly TokenEmbedding[] } = {},
): TokenCount {
  const texts = new Set(schedulePrompt(extractLoraTags(prompt).text, steps).map(({ text }) => text));
  const counts = Array.from(texts, (text) => countOf(chunkPrompt(text, tokenizer, embeddings), tokenizer));
  return defined(counts.sort((a, b) => b.chunks.length - a.chunks.length || b.tokens - a.tokens)[0]);
}

function countOf(chunks: readonly PromptChunk[], tokenizer: ClipTokenizer): TokenCount {
  const capacity = tokenizer.modelMaxLength - 2;
  return {
    tokens: chunks.reduce((sum, { tokens }) => sum + tokens, 0),
    chunks: chunks.map((chunk) => ({ tokens: chunk.tokens, capacity, spans: spansOf(chunk, tokenizer) })),
  };
}

function spansOf({ ids, weights, rows, tokens }: PromptChunk, tokenizer: ClipTokenizer): readonly TextSpan[] {
  const spans: { text: string; weight: number }[] = [];
  let start = 1;
  for (let at = 1; at <= tokens; at++) {
    const row = rows.get(at);
    const isLast = at === tokens || weights[at + 1] !== weights[at] || rows.has(at + 1) || row !== undefined;
    if (!isLast) continue;
    const text = row === undefined ? tokenizer.decode(ids.subarray(start, at + 1)) : row.index === 0 ? row.name : '';
    start = at + 1;
    if (text !== '') spans.push({ text, weight: weights[at]! });
  }
  return spans;
}

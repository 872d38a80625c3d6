/**
 * A prompt of any length as chunks that the text encoder takes one by one, as A1111 cuts them: 75 tokens each (the encoder's 77
 * positions less start and end). Where a cut would tear a phrase apart, what follows the last comma within 20 tokens moves to the
 * next chunk. `BREAK` fills a chunk up with padding.
 */
import { defined } from '../core/invariant.ts';
import type { ClipTokenizer } from '../models/tokenizer.ts';
import { isBreak, parseAttention } from './attention.ts';

/** A textual-inversion embedding: what is typed for it, and the rows that stand for it instead of the token table's. */
export interface TokenEmbedding {
  readonly name: string;
  /** At least one, each of the text encoder's hidden size. */
  readonly vectors: readonly Float32Array[];
}

export interface EmbeddingRow {
  /** The embedding's name, and which of its vectors this is. */
  readonly name: string;
  readonly index: number;
  readonly values: Float32Array;
}

export interface PromptChunk {
  /** modelMaxLength ids: start, the chunk's tokens, end, padding. */
  readonly ids: Int32Array<ArrayBuffer>;
  /** For each id, what its embedding is multiplied by. */
  readonly weights: Float32Array<ArrayBuffer>;
  /** Rows that replace those of the token table, by position; the ids there mean nothing. */
  readonly rows: ReadonlyMap<number, EmbeddingRow>;
  /** Tokens of the prompt in the chunk: without start, end and padding. */
  readonly tokens: number;
}

/** A1111's default of `comma_padding_backtrack`. */
const COMMA_BACKTRACK = 20;

interface Token {
  readonly id: number;
  readonly weight: number;
  readonly row?: EmbeddingRow;
}

/** Cuts a prompt without schedules and LoRA tags into chunks, at least one. */
export function chunkPrompt(
  prompt: string,
  tokenizer: ClipTokenizer,
  embeddings: readonly TokenEmbedding[] = [],
): readonly PromptChunk[] {
  const length = tokenizer.modelMaxLength - 2;
  const [comma] = tokenizer.tokenize(',');
  const known = namesByLength(tokenizer, embeddings);
  const chunks: PromptChunk[] = [];
  let chunk: Token[] = [];
  let lastComma = -1;
  const next = (rest: Token[] = []): void => {
    chunks.push(finish(chunk, tokenizer));
    chunk = rest;
    lastComma = -1;
  };
  for (const part of parseAttention(prompt)) {
    if (isBreak(part)) {
      next();
      continue;
    }
    const ids = tokenizer.tokenize(part.text);
    for (let at = 0; at < ids.length;) {
      const id = defined(ids[at]);
      const isFull = chunk.length === length;
      if (id === comma) lastComma = chunk.length;
      else if (isFull && lastComma !== -1 && length - lastComma <= COMMA_BACKTRACK) {
        next(chunk.splice(lastComma + 1));
      }
      if (chunk.length === length) next();

      const found = known.find(({ name }) => name.every((nameId, i) => ids[at + i] === nameId));
      if (found) {
        const { name, vectors } = found.embedding;
        if (chunk.length + vectors.length > length) next();
        vectors.forEach((values, index) => chunk.push({ id: 0, weight: part.weight, row: { name, index, values } }));
        at += found.name.length;
      } else {
        chunk.push({ id, weight: part.weight });
        at++;
      }
    }
  }
  if (chunk.length > 0 || chunks.length === 0) next();
  return chunks;
}

/** Embeddings with the tokens of their names, the longest name first: `cat 2` is not `cat`. */
function namesByLength(
  tokenizer: ClipTokenizer,
  embeddings: readonly TokenEmbedding[],
): readonly { readonly name: readonly number[]; readonly embedding: TokenEmbedding }[] {
  return embeddings
    .map((embedding) => ({ name: tokenizer.tokenize(embedding.name), embedding }))
    .filter(({ name }) => name.length > 0)
    .sort((a, b) => b.name.length - a.name.length);
}

function finish(tokens: readonly Token[], tokenizer: ClipTokenizer): PromptChunk {
  const { modelMaxLength, bosTokenId, eosTokenId, padTokenId } = tokenizer;
  const ids = new Int32Array(modelMaxLength).fill(padTokenId);
  ids.set([bosTokenId, ...tokens.map(({ id }) => id), eosTokenId]);
  const weights = new Float32Array(modelMaxLength).fill(1);
  weights.set(
    tokens.map(({ weight }) => weight),
    1,
  );
  const rows = new Map<number, EmbeddingRow>();
  tokens.forEach(({ row }, i) => row && rows.set(i + 1, row));
  return { ids, weights, rows, tokens: tokens.length };
}

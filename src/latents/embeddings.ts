/** Prompt embeddings, computed once and kept on the CPU, so that the text encoder can be freed before the UNet is loaded. */
import { readTensor } from '../gpu/ops.ts';
import type { ClipTextEncoder } from '../models/clip.ts';
import type { ClipTokenizer } from '../models/tokenizer.ts';
import { chunkPrompt, type PromptChunk, type TokenEmbedding } from '../prompts/chunks.ts';
import { applyWeights } from '../prompts/emphasis.ts';

/** What the UNet is conditioned on for one prompt: [tokens, width], row-major. */
export interface PromptEmbedding {
  readonly tokens: number;
  readonly width: number;
  readonly values: Float32Array;
  /** The token ids that it was read as, where that was in one piece: what a text encoder that is trained reads anew in every step. */
  readonly ids?: Int32Array;
}

/**
 * How a prompt is read: `a1111` with attention weights, BREAK and as many chunks as it needs; `plain` as diffusers does, all of it text,
 * cut where the text encoder's 77 positions end.
 */
export type PromptSyntax = 'a1111' | 'plain';

export interface EncodeOptions {
  readonly syntax?: PromptSyntax;
  /** A1111's count: 1 is the text encoder's last layer. */
  readonly clipSkip?: number;
  /** Words that stand for rows of their own; `plain` knows none. */
  readonly embeddings?: readonly TokenEmbedding[];
  /** Called with the number of prompts done. */
  readonly onProgress?: (done: number, total: number) => void;
  readonly signal?: AbortSignal;
}

const chunksPerBatch = 8;

/** Encodes each distinct prompt once. A prompt of several chunks has their embeddings one after the other. */
export async function encodePrompts(
  encoder: ClipTextEncoder,
  tokenizer: ClipTokenizer,
  prompts: readonly string[],
  { syntax = 'plain', clipSkip = 1, embeddings = [], onProgress, signal }: EncodeOptions = {},
): Promise<Map<string, PromptEmbedding>> {
  const distinct = [...new Set(prompts)];
  const chunks = distinct.flatMap((prompt) =>
    (syntax === 'plain' ? [plainChunk(prompt, tokenizer)] : chunkPrompt(prompt, tokenizer, embeddings)).map(
      (chunk) => ({
        prompt,
        chunk,
      }),
    ),
  );
  const encoded = new Map<string, PromptEmbedding>();
  for (let start = 0; start < chunks.length; start += chunksPerBatch) {
    signal?.throwIfAborted();
    const batch = chunks.slice(start, start + chunksPerBatch);
    const { lastHiddenState } = await encoder.encode(
      batch.map(({ chunk }) => chunk.ids),
      { clipSkip, rows: batch.map(({ chunk }) => new Map(Array.from(chunk.rows, ([at, row]) => [at, row.values]))) },
    );
    const [, tokens = 0, width = 0] = lastHiddenState.shape;
    const values = await readTensor(lastHiddenState);
    lastHiddenState.dispose();
    batch.forEach(({ prompt, chunk }, i) => {
      const own = applyWeights(values.slice(i * tokens * width, (i + 1) * tokens * width), chunk.weights);
      const before = encoded.get(prompt);
      const next = { tokens, width, values: own, ...(syntax === 'plain' ? { ids: chunk.ids } : {}) };
      encoded.set(prompt, before ? joinEmbeddings(before, next) : next);
    });
    const inNext = chunks[start + chunksPerBatch]?.prompt;
    onProgress?.(encoded.size - (inNext !== undefined && encoded.has(inNext) ? 1 : 0), distinct.length);
  }
  return encoded;
}

/** Two embeddings one after the other, as what one prompt is conditioned on. */
export function joinEmbeddings(first: PromptEmbedding, second: PromptEmbedding): PromptEmbedding {
  const values = new Float32Array(first.values.length + second.values.length);
  values.set(first.values);
  values.set(second.values, first.values.length);
  return { tokens: first.tokens + second.tokens, width: first.width, values };
}

function plainChunk(prompt: string, tokenizer: ClipTokenizer): PromptChunk {
  const { ids, tokens } = tokenizer.encode(prompt);
  return { ids, weights: new Float32Array(ids.length).fill(1), rows: new Map(), tokens: tokens - 2 };
}

/** Prompt embeddings, computed once and kept on the CPU, so that the text encoder can be freed before the UNet is loaded. */
import { readTensor } from '../gpu/ops.ts';
import type { ClipTextEncoder } from '../models/clip.ts';
import type { ClipTokenizer } from '../models/tokenizer.ts';

/** What the UNet is conditioned on for one prompt: [tokens, width], row-major. */
export interface PromptEmbedding {
  readonly tokens: number;
  readonly width: number;
  readonly values: Float32Array;
}

const promptsPerBatch = 8;

/** Encodes each distinct prompt once. `onProgress` is called with the number done. */
export async function encodePrompts(
  encoder: ClipTextEncoder,
  tokenizer: ClipTokenizer,
  prompts: readonly string[],
  {
    onProgress,
    signal,
  }: { readonly onProgress?: (done: number, total: number) => void; readonly signal?: AbortSignal } = {},
): Promise<Map<string, PromptEmbedding>> {
  const distinct = [...new Set(prompts)];
  const embeddings = new Map<string, PromptEmbedding>();
  for (let start = 0; start < distinct.length; start += promptsPerBatch) {
    signal?.throwIfAborted();
    const batch = distinct.slice(start, start + promptsPerBatch);
    const { lastHiddenState } = await encoder.encode(batch.map((prompt) => tokenizer.encode(prompt).ids));
    const [, tokens = 0, width = 0] = lastHiddenState.shape;
    const values = await readTensor(lastHiddenState);
    lastHiddenState.dispose();
    batch.forEach((prompt, i) => {
      embeddings.set(prompt, { tokens, width, values: values.slice(i * tokens * width, (i + 1) * tokens * width) });
    });
    onProgress?.(embeddings.size, distinct.length);
  }
  return embeddings;
}

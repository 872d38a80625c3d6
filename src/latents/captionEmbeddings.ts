/**
 * Embeddings of captions as a training asks for them. Few captions are encoded once, before the UNet is loaded, and kept. Shuffled tags
 * make thousands: those are encoded ahead, as many as fit into a bound, and the text encoder is loaded again when they are used up.
 */
import { defined } from '../core/invariant.ts';
import { trimMemory } from '../gpu/ops.ts';
import type { ClipTextEncoder } from '../models/clip.ts';
import type { ClipTokenizer } from '../models/tokenizer.ts';
import { encodePrompts, type PromptEmbedding } from './embeddings.ts';

/** Embeddings of shuffled captions take at most so many bytes: some 540 of SD1.5's. */
const defaultMaxBytes = 128 * 1024 * 1024;

export interface CaptionEncoding {
  /** Loads the text encoder; it is freed after each use. */
  readonly load: (onProgress?: (fraction: number) => void) => Promise<ClipTextEncoder>;
  readonly tokenizer: ClipTokenizer;
  readonly clipSkip: number;
  /** Of one embedding, in bytes. */
  readonly embeddingBytes: number;
  /** What encoding ahead may take, in bytes of main memory. */
  readonly maxBytes?: number;
}

export interface EncodingProgress {
  readonly signal?: AbortSignal;
  /** What is being done, in words; 0..1. */
  readonly onStatus?: (detail: string, progress: number) => void;
}

export class CaptionEmbeddings {
  readonly #encoding: CaptionEncoding;
  /** For the whole run. */
  readonly #kept = new Map<string, PromptEmbedding>();
  /** For the next steps. */
  #ahead = new Map<string, PromptEmbedding>();

  constructor(encoding: CaptionEncoding) {
    this.#encoding = encoding;
  }

  /** The embedding of a caption that was kept or made ready. */
  get(caption: string): PromptEmbedding {
    return defined(this.#kept.get(caption) ?? this.#ahead.get(caption), `the embedding of “${caption}”`);
  }

  /**
   * Encodes `kept` for the whole run and, in the same go, what `upcoming` begins with.
   * `upcoming` gives the captions of one batch after the other, as {@link ready} takes them.
   */
  async keep(
    kept: readonly string[],
    upcoming: Iterable<readonly string[]>,
    progress: EncodingProgress = {},
  ): Promise<void> {
    const encoded = await this.#encode(kept, upcoming, progress);
    for (const caption of kept) this.#kept.set(caption, defined(encoded.get(caption)));
  }

  /** Makes ready the first batch of `upcoming`: at once if it is, otherwise by encoding it with as many after it as fit. */
  async ready(upcoming: () => Iterable<readonly string[]>, progress: EncodingProgress = {}): Promise<void> {
    for (const first of upcoming()) {
      if (first.every((caption) => this.#kept.has(caption) || this.#ahead.has(caption))) return;
      break;
    }
    await this.#encode([], upcoming(), progress);
  }

  async #encode(
    kept: readonly string[],
    upcoming: Iterable<readonly string[]>,
    { signal, onStatus }: EncodingProgress,
  ): Promise<Map<string, PromptEmbedding>> {
    const { load, tokenizer, clipSkip, embeddingBytes, maxBytes = defaultMaxBytes } = this.#encoding;
    onStatus?.('Loading the text encoder', 0);
    const encoder = await load((done) => onStatus?.('Loading the text encoder', done));
    try {
      const most = Math.max(1, Math.floor(maxBytes / embeddingBytes));
      const known = (caption: string): boolean => this.#kept.has(caption) || kept.includes(caption);
      const ahead = firstCaptions(upcoming, most, known);
      const encoded = await encodePrompts(encoder, tokenizer, [...kept, ...ahead], {
        clipSkip,
        ...(signal ? { signal } : {}),
        onProgress: (done, total) => onStatus?.(`Reading caption ${done} of ${total}`, done / total),
      });
      this.#ahead = new Map(ahead.map((caption) => [caption, defined(encoded.get(caption))]));
      return encoded;
    } finally {
      encoder.dispose();
      trimMemory();
    }
  }
}

/** The distinct captions of the first batches that have at most `most`; of the first batch, all. */
function firstCaptions(
  batches: Iterable<readonly string[]>,
  most: number,
  known: (caption: string) => boolean,
): string[] {
  const captions = new Set<string>();
  for (const batch of batches) {
    const fresh = new Set(batch.filter((caption) => !known(caption) && !captions.has(caption)));
    if (captions.size > 0 && captions.size + fresh.size > most) break;
    for (const caption of fresh) captions.add(caption);
  }
  return [...captions];
}

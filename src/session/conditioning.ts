/**
 * What pictures are conditioned on: prompts read, encoded and remembered, for as many pictures as are drawn with one model. The text
 * encoder stays loaded: without its token table, which is read row by row, it takes a tenth of what the UNet takes, and a new prompt
 * then needs no loading.
 */
import { AdapterSlot, hasTarget, type WeightedAdapter } from '../adapter/slot.ts';
import { defined } from '../core/invariant.ts';
import { trimMemory } from '../gpu/ops.ts';
import { encodePrompts, joinEmbeddings, type PromptEmbedding, type PromptSyntax } from '../latents/embeddings.ts';
import type { ClipTextEncoder } from '../models/clip.ts';
import type { DiffusionModel } from '../models/repository.ts';
import type { TokenEmbedding } from '../prompts/chunks.ts';
import { extractLoraTags } from '../prompts/loraTags.ts';
import { schedulePrompt, textAtCall, type PromptSection } from '../prompts/schedule.ts';
import type { EmbeddingOfCall } from '../sampler/denoise.ts';

export interface ConditioningRequest {
  readonly prompt: string;
  readonly negativePrompt: string;
  /** `a1111` unless it says otherwise. Its LoRA tags are taken out of the prompt: `loras` says what they ask for. */
  readonly syntax?: PromptSyntax;
  /** 1 unless it says otherwise. `plain` leaves the negative prompt unskipped, as diffusers does. */
  readonly clipSkip?: number;
  readonly embeddings?: readonly TokenEmbedding[];
  readonly loras: readonly WeightedAdapter[];
}

export interface Conditioning {
  readonly promptEmbeds: EmbeddingOfCall;
  readonly negativePromptEmbeds: EmbeddingOfCall;
}

/** One side of the guidance: a prompt's texts over the calls, and how deep they are encoded. */
interface Side {
  readonly sections: readonly PromptSection[];
  readonly clipSkip: number;
}

interface Events {
  readonly signal?: AbortSignal;
  readonly onStatus?: (detail: string) => void;
}

const rememberedTexts = 64;

export class PromptConditioner {
  private textEncoder: ClipTextEncoder | null = null;
  private readonly adapters = new AdapterSlot();
  /** What the remembered embeddings were made with: adapters and their weights, embedding files. */
  private embeddedWith: readonly unknown[] = [];
  private readonly remembered = new Map<string, PromptEmbedding>();

  constructor(private readonly model: DiffusionModel) {}

  /**
   * Conditioning for a walk of `calls` calls of the UNet: it is over these that prompts change. `before`: calls of the walk that it follows.
   */
  async conditioning(
    request: ConditioningRequest,
    { calls, before = 0 }: { readonly calls: number; readonly before?: number },
    events: Events = {},
  ): Promise<Conditioning> {
    const { prompt, negativePrompt, syntax = 'a1111', clipSkip = 1 } = request;
    const sectionsOf = (text: string): readonly PromptSection[] =>
      syntax === 'plain' ? [{ endAtStep: calls, text }] : schedulePrompt(text, calls, before);
    const positive: Side = {
      sections: sectionsOf(syntax === 'plain' ? prompt : extractLoraTags(prompt).text),
      clipSkip,
    };
    const negative: Side = { sections: sectionsOf(negativePrompt), clipSkip: syntax === 'plain' ? 1 : clipSkip };

    const texts = [positive, negative].flatMap((side) =>
      side.sections.map(({ text }) => ({ text, clipSkip: side.clipSkip })),
    );
    let embeddings = await this.embed(texts, request, events);
    const tokens = Math.max(...Array.from(embeddings.values(), (embedding) => embedding.tokens));
    if ([...embeddings.values()].some((embedding) => embedding.tokens < tokens)) {
      const [empty] = (await this.embed([{ text: '', clipSkip }], request, events)).values();
      embeddings = new Map(Array.from(embeddings, ([key, value]) => [key, padTo(tokens, value, defined(empty))]));
    }
    const of =
      (side: Side): EmbeddingOfCall =>
      (call) =>
        defined(embeddings.get(keyOf(textAtCall(side.sections, call), side.clipSkip)), 'embedding');
    return { promptEmbeds: of(positive), negativePromptEmbeds: of(negative) };
  }

  /** Frees the text encoder. The next prompt that is not remembered loads it again. */
  dispose(): void {
    this.adapters.clear();
    this.textEncoder?.dispose();
    this.textEncoder = null;
    trimMemory();
  }

  /** The texts' embeddings by {@link keyOf}, from memory or encoded now. */
  private async embed(
    texts: readonly { readonly text: string; readonly clipSkip: number }[],
    { syntax = 'a1111', embeddings = [], loras }: ConditioningRequest,
    { signal, onStatus }: Events,
  ): Promise<Map<string, PromptEmbedding>> {
    const adapters = loras.filter(({ adapter, weight }) => weight !== 0 && hasTarget(adapter, 'textEncoder'));
    this.forgetUnlessMadeWith([syntax, ...embeddings, ...adapters.flatMap(({ adapter, weight }) => [adapter, weight])]);
    const missing = texts.filter(({ text, clipSkip }) => !this.remembered.has(keyOf(text, clipSkip)));
    if (missing.length > 0) {
      onStatus?.('Reading the prompt');
      this.textEncoder ??= await this.model.loadTextEncoder();
      this.adapters.set(this.textEncoder.adaptableLayers, adapters);
    }
    for (const clipSkip of new Set(missing.map((one) => one.clipSkip))) {
      const fresh = await encodePrompts(
        defined(this.textEncoder),
        this.model.tokenizer,
        missing.filter((one) => one.clipSkip === clipSkip).map(({ text }) => text),
        { syntax, clipSkip, embeddings, ...(signal ? { signal } : {}) },
      );
      for (const [text, embedding] of fresh) this.remembered.set(keyOf(text, clipSkip), embedding);
    }
    const found = new Map<string, PromptEmbedding>();
    for (const { text, clipSkip } of texts) {
      const key = keyOf(text, clipSkip);
      const embedding = defined(this.remembered.get(key), 'embedding');
      found.set(key, embedding);
      // The oldest are forgotten first; the ones just used are put at the young end.
      this.remembered.delete(key);
      this.remembered.set(key, embedding);
    }
    for (const key of [...this.remembered.keys()].slice(0, -rememberedTexts)) this.remembered.delete(key);
    return found;
  }

  private forgetUnlessMadeWith(ingredients: readonly unknown[]): void {
    const { embeddedWith } = this;
    const same = ingredients.length === embeddedWith.length && ingredients.every((one, i) => one === embeddedWith[i]);
    if (!same) this.remembered.clear();
    this.embeddedWith = ingredients;
  }
}

function keyOf(text: string, clipSkip: number): string {
  return `${clipSkip} ${text}`;
}

/** `embedding` with as many chunks as `tokens` needs; those it lacks are the empty prompt's. */
function padTo(tokens: number, embedding: PromptEmbedding, empty: PromptEmbedding): PromptEmbedding {
  let padded = embedding;
  while (padded.tokens < tokens) padded = joinEmbeddings(padded, empty);
  return padded;
}

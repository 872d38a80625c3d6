/** What a LoRA's file says of itself, for people: a line about it, its words, how it was trained. */
import type { LoraReport } from '../worker/protocol.ts';

export interface LoraFacts {
  /** `LoRA, rank 8`. */
  readonly summary: string;
  /** Its trigger phrase first, then the commonest words of its captions. */
  readonly words: readonly string[];
}

/** How often each word of the captions occurred, the commonest first; empty where the header does not say. */
export function tagFrequency(metadata: Readonly<Record<string, string>>): readonly (readonly [string, number])[] {
  try {
    const sets = JSON.parse(metadata['ss_tag_frequency'] ?? '{}') as Record<string, Record<string, unknown>>;
    const counts = new Map<string, number>();
    for (const tags of Object.values(sets)) {
      for (const [tag, count] of Object.entries(tags)) {
        if (typeof count === 'number') counts.set(tag.trim(), (counts.get(tag.trim()) ?? 0) + count);
      }
    }
    return [...counts].sort(([, a], [, b]) => b - a);
  } catch {
    // Written by hand or by a tool that means something else by it.
    return [];
  }
}

/** Whole sentences are no words to put into a prompt. */
const longestWord = 32;

export function loraFacts({ description, metadata }: LoraReport): LoraFacts {
  const { kinds, ranks } = description;
  const rank =
    ranks.length === 0 ? '' : ranks.length === 1 ? `, rank ${ranks[0]}` : `, rank ${ranks[0]}–${ranks.at(-1)}`;
  const trigger = metadata['modelspec.trigger_phrase']?.trim() ?? '';
  const tags = tagFrequency(metadata)
    .map(([tag]) => tag)
    .filter((tag) => tag.length > 0 && tag.length <= longestWord);
  return {
    summary: `${kinds.join(' + ') || 'no LoRA'}${rank}`,
    words: [...new Set([trigger, ...tags].filter((word) => word !== ''))],
  };
}

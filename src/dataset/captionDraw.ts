/** What a caption says this time: dropped, or with its tags in a drawn order (kohya's caption_dropout_rate, shuffle_caption, keep_tokens). */
import { tagsOf } from '../core/captions.ts';
import { defined } from '../core/invariant.ts';
import { TorchGenerator } from '../core/rng.ts';

export interface CaptionOptions {
  readonly shuffleTags: boolean;
  /** So many tags at the start stay where they are: the trigger word, most often. */
  readonly keepTokens: number;
}

/** The caption, trigger word included, as the text encoder will read it. */
export function drawCaption(
  caption: string,
  { dropped, seed }: { readonly dropped: boolean; readonly seed: number },
  { shuffleTags, keepTokens }: CaptionOptions,
): string {
  if (dropped) return '';
  if (!shuffleTags) return caption;
  const tags = tagsOf(caption);
  const kept = tags.slice(0, keepTokens);
  const rest = tags.slice(keepTokens);
  const order = new TorchGenerator(seed).randperm(rest.length);
  return [...kept, ...Array.from(order, (at) => defined(rest[at]))].join(', ');
}

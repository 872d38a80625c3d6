/** Captions as text and as lists of tags: what stands between the commas. */

/** The caption an image is trained with: the trigger word in front, `sks, a dog on grass`. Either may be empty. */
export function captionWithTrigger(triggerWord: string, caption: string): string {
  const word = triggerWord.trim();
  const text = caption.trim();
  if (word === '') return text;
  return text === '' ? word : `${word}, ${text}`;
}

/** `a cat,  red hat,` has the tags `a cat` and `red hat`. */
export function tagsOf(caption: string): string[] {
  return caption
    .split(',')
    .map((tag) => tag.trim())
    .filter((tag) => tag !== '');
}

const same = (a: string, b: string): boolean => a.toLowerCase() === b.toLowerCase();

/** The caption with `tag` at its start or end; unchanged if it has it already. `tag` may be several, with commas. */
export function withTag(caption: string, tag: string, place: 'start' | 'end'): string {
  const present = tagsOf(caption);
  const added = tagsOf(tag).filter((one) => !present.some((other) => same(one, other)));
  if (added.length === 0) return caption;
  return (place === 'start' ? [...added, ...present] : [...present, ...added]).join(', ');
}

/** The caption without `tag`, whatever its case; unchanged if it does not have it. */
export function withoutTag(caption: string, tag: string): string {
  return replacedTag(caption, tag, '');
}

/** The caption with `tag`, whatever its case, replaced; none is there twice afterwards. Unchanged if it does not have it. */
export function replacedTag(caption: string, tag: string, replacement: string): string {
  const tags = tagsOf(caption);
  if (!tags.some((other) => same(other, tag.trim()))) return caption;
  const replaced = tags.flatMap((other) => (same(other, tag.trim()) ? tagsOf(replacement) : [other]));
  return replaced.filter((one, i) => replaced.findIndex((other) => same(one, other)) === i).join(', ');
}

export interface TagCount {
  /** As it is written where it occurs first. */
  readonly tag: string;
  /** Captions that have it. */
  readonly count: number;
}

/** How many captions have each tag; the most frequent first, then by alphabet. */
export function countTags(captions: readonly string[]): TagCount[] {
  const counts = new Map<string, { tag: string; count: number }>();
  for (const caption of captions) {
    for (const tag of new Map(tagsOf(caption).map((one) => [one.toLowerCase(), one])).values()) {
      const known = counts.get(tag.toLowerCase());
      if (known) known.count++;
      else counts.set(tag.toLowerCase(), { tag, count: 1 });
    }
  }
  return [...counts.values()].sort((a, b) => b.count - a.count || a.tag.localeCompare(b.tag));
}

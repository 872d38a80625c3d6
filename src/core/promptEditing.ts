/**
 * What the prompt box does to text: raising and lowering the weight of a selection as A1111's Ctrl+Up and Ctrl+Down do, and completing
 * `<lora:`. Pure: a text and a selection in, a text and a selection out.
 */

/** A text with what is selected in it: [start, end) in UTF-16 units, as in a textarea. */
export interface EditedText {
  readonly text: string;
  readonly start: number;
  readonly end: number;
}

const LARGEST = 10;

function rounded(weight: number): number {
  return Math.min(LARGEST, Math.max(0, Math.round(weight * 100) / 100));
}

/** The nearest pair of round brackets with a weight around the selection; null if there is none. Escaped brackets are text. */
function enclosing({ text, start, end }: EditedText): { open: number; close: number } | null {
  let depth = 0;
  let open = -1;
  for (let i = start - 1; i >= 0 && open < 0; i--) {
    if (text[i - 1] === '\\') continue;
    if (text[i] === ')') depth++;
    else if (text[i] === '(' && depth-- === 0) open = i;
  }
  if (open < 0) return null;
  depth = 0;
  for (let i = end; i < text.length; i++) {
    if (text[i - 1] === '\\') continue;
    if (text[i] === '(') depth++;
    else if (text[i] === ')' && depth-- === 0) return { open, close: i };
  }
  return null;
}

/** Without a selection, the word at the caret; of a selection, what lies between its outer spaces. */
function focused({ text, start, end }: EditedText): EditedText {
  if (start !== end) {
    const selected = text.slice(start, end);
    return {
      text,
      start: start + (selected.length - selected.trimStart().length),
      end: end - (selected.length - selected.trimEnd().length),
    };
  }
  const isWord = (index: number): boolean => /[\p{L}\p{N}_'’-]/u.test(text[index] ?? '');
  let [from, to] = [start, start];
  while (from > 0 && isWord(from - 1)) from--;
  while (to < text.length && isWord(to)) to++;
  return { text, start: from, end: to };
}

const BODY = /^([\s\S]*?)(?::\s*([+-]?[\d.]+)\s*)?$/;

/**
 * Adds `delta` to the weight of the selection, or of the word at the caret: `cat` becomes `(cat:1.1)`, that becomes `(cat:1.2)`, and at
 * weight 1 the brackets go. In a LoRA tag, it is the tag's weight that changes, by half as much as in A1111. The selection stays on the words.
 */
export function changeWeight(edited: EditedText, delta: number): EditedText {
  const tag = changeTagWeight(edited, delta / 2);
  if (tag) return tag;
  const { text, start, end } = focused(edited);
  if (start >= end) return edited;
  // Brackets that were selected along are those that are meant.
  const whole = /^\(([\s\S]*):\s*([+-]?[\d.]+)\s*\)$/.exec(text.slice(start, end));
  const pair = whole ? { open: start, close: end - 1 } : enclosing({ text, start, end });
  const [, body = '', digits] = (pair && BODY.exec(text.slice(pair.open + 1, pair.close))) ?? [];
  // Brackets around more than what is selected have a weight of their own; the selection gets another.
  if (pair && (whole || body.trim() === text.slice(start, end).trim())) {
    const weight = rounded((digits === undefined ? 1.1 : Number(digits)) + delta);
    const inner = weight === 1 ? body : `(${body}:${weight})`;
    const from = pair.open + (weight === 1 ? 0 : 1);
    return {
      text: text.slice(0, pair.open) + inner + text.slice(pair.close + 1),
      start: from,
      end: from + body.length,
    };
  }
  const words = text.slice(start, end);
  const weight = rounded(1 + delta);
  return {
    text: `${text.slice(0, start)}(${words}:${weight})${text.slice(end)}`,
    start: start + 1,
    end: start + 1 + words.length,
  };
}

function changeTagWeight({ text, start, end }: EditedText, delta: number): EditedText | null {
  for (const match of text.matchAll(/<(?:lora|lyco):([^:>]+)(?::([+-]?[\d.]+))?((?::[^>]*)?)>/g)) {
    const [tag, name = '', digits = '1', rest = ''] = match;
    if (start < match.index || end > match.index + tag.length) continue;
    const weight = Math.round((Number(digits) + delta) * 100) / 100;
    const changed = `<lora:${name}:${weight}${rest}>`;
    const caret = Math.min(start, match.index + changed.length - 1);
    return {
      text: text.slice(0, match.index) + changed + text.slice(match.index + tag.length),
      start: caret,
      end: caret,
    };
  }
  return null;
}

/** What is being typed after `<lora:` at the caret, which may itself be half typed; null if nothing is. */
export function loraQuery(text: string, caret: number): { readonly start: number; readonly query: string } | null {
  const match = /<[^<>\n]*$/.exec(text.slice(0, caret));
  if (!match) return null;
  const [typed] = match;
  const opening = '<lora:';
  if (typed.length > 1 && opening.startsWith(typed.toLowerCase())) return { start: match.index, query: '' };
  const query = typed.slice(opening.length);
  const isTag = typed.toLowerCase().startsWith(opening) && !query.includes(':');
  return isTag ? { start: match.index, query } : null;
}

/** A LoRA's name as a tag can hold it: without what would end the tag, or part it or the hashes. */
export function tagName(name: string): string {
  return name.replace(/[:,<>=]/g, '');
}

/** The text with the tag of the chosen LoRA in place of what was typed, the caret behind it. */
export function completeLora(text: string, start: number, caret: number, name: string, weight: number): EditedText {
  const tag = `<lora:${tagName(name)}:${weight}>`;
  const rest = text.slice(caret).replace(/^[^<>\n]*>/, '');
  return { text: text.slice(0, start) + tag + rest, start: start + tag.length, end: start + tag.length };
}

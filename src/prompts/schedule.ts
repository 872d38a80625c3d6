/**
 * Prompts that change while a picture is drawn, as A1111 reads them: `[before:after:when]`, `[after:when]`, `[before::when]`, where
 * `when` is a share of the steps if it has a point and a step's number if not, and `[a|b]`, whose parts take turns step by step.
 * They nest, also inside attention brackets, which are left as they stand (see attention.ts).
 *
 * What is not well-formed is text: an unclosed bracket, a third colon, a missing number. A `|` outside of brackets, or a backslash
 * with nothing to escape, makes the whole prompt text. Compared with A1111 1.10 on 6,000 random strings: where a schedule is followed
 * at once by several stray brackets, its ambiguous grammar at times takes the schedule as text; here it is read.
 */

/** The prompt up to and including step number `endAtStep`, counted from 1. */
export interface PromptSection {
  readonly endAtStep: number;
  readonly text: string;
}

interface Scheduled {
  readonly kind: 'scheduled';
  readonly before: readonly Piece[];
  readonly after: readonly Piece[];
  readonly when: string;
}

interface Alternating {
  readonly kind: 'alternating';
  readonly options: readonly (readonly Piece[])[];
}

type Piece = string | Scheduled | Alternating;

/** A bracket that is still open, with what stands in it so far. */
interface Frame {
  readonly open: '(' | '[';
  readonly parts: Piece[][];
  /** What parts them; null while there is one part. */
  separator: ':' | '|' | null;
}

const SPECIAL = /[\\()[\]:|]/g;
const NUMBER = /^\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)\s*$/i;

/** The steps that a prompt is walked over. */
interface Walk {
  readonly steps: number;
  /** Steps of the walk before it; 0 for the first. */
  readonly before: number;
}

/**
 * The prompt's sections over `steps` steps, at least one; the last ends at `steps`. Of hires fix' second walk, `before` is how many steps the
 * first one had: there, as in A1111, shares count on from 1 (`[a:b:1.5]` changes in its middle) and numbers of steps from `before`.
 */
export function schedulePrompt(prompt: string, steps: number, before = 0): readonly PromptSection[] {
  const pieces = parsePieces(prompt);
  const walk = { steps, before };
  return [...changesIn(pieces, walk)]
    .sort((a, b) => a - b)
    .map((endAtStep) => ({ endAtStep, text: textOf(pieces, endAtStep, walk) }));
}

/**
 * The text at call number `call` of the UNet, counted from 0. A1111 compares that number to the sections' ends, which count from 1,
 * so its first section lasts one call longer than it says; pictures equal A1111's only if ours does too.
 */
export function textAtCall(sections: readonly PromptSection[], call: number): string {
  return (sections.find(({ endAtStep }) => call <= endAtStep) ?? sections.at(-1))?.text ?? '';
}

/**
 * One pass with a stack. A bracket may only hold what is well-formed itself, so the first thing out of place turns every bracket
 * that is open there into text.
 */
function parsePieces(prompt: string): readonly Piece[] {
  const root: Piece[] = [];
  const stack: Frame[] = [];
  const add = (...pieces: readonly Piece[]): void => {
    const target = stack.at(-1)?.parts.at(-1) ?? root;
    for (const piece of pieces) target.push(piece);
  };
  /** Makes all open brackets text; false if that leaves a `|` outside of brackets. */
  const giveUp = (): boolean => {
    const frames = stack.splice(0);
    for (const frame of frames) add(...asText(frame));
    return frames.every(({ separator }) => separator !== '|');
  };

  let at = 0;
  for (const { 0: character, index } of prompt.matchAll(SPECIAL)) {
    if (index < at) continue; // It was escaped.
    if (index > at) add(prompt.slice(at, index));
    at = index + 1;
    const top = stack.at(-1);
    if (character === '\\') {
      const escaped = prompt[at];
      if (escaped === undefined || escaped === '\n') return [prompt];
      add(prompt.slice(index, ++at));
    } else if (character === '(' || character === '[') {
      stack.push({ open: character, parts: [[]], separator: null });
    } else if (character === ':' && top?.separator !== '|' && top && top.parts.length < (top.open === '(' ? 2 : 3)) {
      top.separator = ':';
      top.parts.push([]);
    } else if (character === '|') {
      if (top?.open !== '[' || top.separator === ':') return [prompt];
      top.separator = '|';
      top.parts.push([]);
    } else {
      const closed = top && close(top, character);
      if (closed) {
        stack.pop();
        add(...closed);
      } else {
        if (!giveUp()) return [prompt];
        add(character);
      }
    }
  }
  if (at < prompt.length) add(prompt.slice(at));
  return giveUp() ? root : [prompt];
}

/** What a bracket has become with `character` after it; undefined if that does not close it. */
function close(frame: Frame, character: string): readonly Piece[] | undefined {
  const { open, parts, separator } = frame;
  if (open === '(') return character === ')' ? [...asText(frame), ')'] : undefined;
  if (character !== ']') return undefined;
  if (separator === null) return [...asText(frame), ']'];
  if (separator === '|') return [{ kind: 'alternating', options: parts }];
  const [first = [], second, third] = parts;
  const last = third ?? second ?? [];
  const when = last.length === 1 && typeof last[0] === 'string' ? NUMBER.exec(last[0])?.[1] : undefined;
  if (when === undefined) return undefined;
  return [{ kind: 'scheduled', before: third ? first : [], after: (third ? second : first) ?? [], when }];
}

function asText({ open, parts, separator }: Frame): readonly Piece[] {
  return [open, ...parts.flatMap((part, i) => (i === 0 ? part : [separator ?? '', ...part]))];
}

/** The last step of `before`: 0 or less if it is never seen. */
function lastStep(when: string, { steps, before }: Walk): number {
  const isShare = when.includes('.');
  const end = isShare ? (Number(when) - (before > 0 ? 1 : 0)) * steps : Number(when) - before;
  return Math.min(steps, Math.trunc(end));
}

function changesIn(pieces: readonly Piece[], walk: Walk): ReadonlySet<number> {
  const { steps } = walk;
  const ends = new Set([steps]);
  const waiting = [...pieces];
  for (let piece = waiting.pop(); piece !== undefined; piece = waiting.pop()) {
    if (typeof piece === 'string') continue;
    if (piece.kind === 'scheduled') {
      const end = lastStep(piece.when, walk);
      if (end >= 1) ends.add(end);
      waiting.push(...piece.before, ...piece.after);
    } else {
      for (let step = 1; step <= steps; step++) ends.add(step);
      waiting.push(...piece.options.flat());
    }
  }
  return ends;
}

function textOf(pieces: readonly Piece[], step: number, walk: Walk): string {
  let text = '';
  const waiting = [...pieces].reverse();
  for (let piece = waiting.pop(); piece !== undefined; piece = waiting.pop()) {
    if (typeof piece === 'string') text += piece;
    else if (piece.kind === 'alternating') {
      waiting.push(...[...(piece.options[(step - 1) % piece.options.length] ?? [])].reverse());
    } else {
      waiting.push(...[...(step <= lastStep(piece.when, walk) ? piece.before : piece.after)].reverse());
    }
  }
  return text;
}

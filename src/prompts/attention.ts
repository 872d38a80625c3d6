/**
 * Attention weights as A1111 reads them: `(x)` times 1.1, `(x:1.3)` times 1.3, `[x]` divided by 1.1, nested ones multiplied; a
 * backslash takes brackets and itself literally and vanishes before anything else; `BREAK` ends a chunk. What is never closed
 * counts to the end; what was never opened is text.
 */

/** Text and what its embeddings are multiplied by, or the end of a chunk: see {@link isBreak}. */
export interface WeightedText {
  readonly text: string;
  readonly weight: number;
}

const ROUND = 1.1;
const SQUARE = 1 / 1.1;
/** An escape, an explicit weight with its bracket, a bracket, or text up to the next of these. */
const TOKENS = /\\[()[\]\\]?|:\s*([+-]?[.\d]+)\s*\)|[()[\]:]|[^\\()[\]:]+/g;
const WORD = String.raw`[\p{L}\p{N}_]`;
const BREAK = new RegExp(String.raw`\s*(?<!${WORD})BREAK(?!${WORD})\s*`, 'u');
const BREAK_PART = { text: 'BREAK', weight: -1 };

/**
 * A `BREAK` has weight -1, and brackets around it multiply that: A1111 then no longer knows it and reads the word instead,
 * weighted. So `(a BREAK b)` has one chunk here as there.
 */
export function isBreak({ text, weight }: WeightedText): boolean {
  return text === BREAK_PART.text && weight === BREAK_PART.weight;
}

/** The prompt's parts in order, at least one; neighbours of one weight are joined. */
export function parseAttention(prompt: string): readonly WeightedText[] {
  const parts: { text: string; weight: number }[] = [];
  const round: number[] = [];
  const square: number[] = [];
  const multiplyFrom = (start: number, factor: number): void => {
    for (let i = start; i < parts.length; i++) parts[i]!.weight *= factor;
  };
  for (const [token, digits] of prompt.matchAll(TOKENS)) {
    const weight = digits === undefined ? NaN : Number(digits);
    if (token.startsWith('\\')) parts.push({ text: token.slice(1), weight: 1 });
    else if (token === '(') round.push(parts.length);
    else if (token === '[') square.push(parts.length);
    else if (!Number.isNaN(weight) && round.length > 0) multiplyFrom(round.pop()!, weight);
    else if (token === ')' && round.length > 0) multiplyFrom(round.pop()!, ROUND);
    else if (token === ']' && square.length > 0) multiplyFrom(square.pop()!, SQUARE);
    else {
      token.split(BREAK).forEach((text, i) => {
        if (i > 0) parts.push({ ...BREAK_PART });
        parts.push({ text, weight: 1 });
      });
    }
  }
  for (const start of round) multiplyFrom(start, ROUND);
  for (const start of square) multiplyFrom(start, SQUARE);
  return joinNeighbours(parts);
}

function joinNeighbours(parts: readonly WeightedText[]): readonly WeightedText[] {
  const joined: { text: string; weight: number }[] = [];
  for (const { text, weight } of parts) {
    const last = joined.at(-1);
    if (last?.weight === weight) last.text += text;
    else joined.push({ text, weight });
  }
  return joined.length > 0 ? joined : [{ text: '', weight: 1 }];
}

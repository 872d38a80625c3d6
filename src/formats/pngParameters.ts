/**
 * The `parameters` text that A1111 writes into its pictures, and that most tools read settings from:
 *
 *     prompt, over any number of lines
 *     Negative prompt: likewise; the line is missing if there is none
 *     Steps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1, Size: 512x512, Lora hashes: "cat: 0123456789ab, dog: ba9876543210"
 *
 * A value with a comma, a colon or a line break stands in JSON's quotes. Checked against A1111 1.10, whose reader trims every line
 * and takes the last one for settings if it has three of them.
 */
import { invariant } from '../core/invariant.ts';

export interface PngParameters {
  readonly prompt: string;
  readonly negativePrompt: string;
  /** Name and value of each setting, in order; unknown ones as well. */
  readonly settings: readonly (readonly [name: string, value: string])[];
}

const NEGATIVE = 'Negative prompt:';
const NAME_CHARACTER = /[\p{L}\p{N}_ \-/]/u;
const NAME = /^[\p{L}\p{N}_][\p{L}\p{N}_ \-/]+$/u;
const VALUE = /\s*("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)/y;
/** Fewer settings than this in the last line, and it is a line of the prompt. */
const FEWEST_SETTINGS = 3;

export function formatParameters({ prompt, negativePrompt, settings }: PngParameters): string {
  const pairs = settings.map(([name, value]) => {
    invariant(NAME.test(name), "A setting's name has letters, digits, spaces, hyphens and slashes", { name });
    return `${name}: ${quote(value)}`;
  });
  const negative = negativePrompt === '' ? '' : `\n${NEGATIVE} ${negativePrompt}`;
  return `${prompt}${negative}\n${pairs.join(', ')}`.trim();
}

/** Never throws: text that is nothing else is a prompt. */
export function parseParameters(text: string): PngParameters {
  const lines = text.trim().split('\n');
  const settings = parseSettings(lines.at(-1) ?? '');
  const hasSettings = settings.length >= FEWEST_SETTINGS;
  const prompt: string[] = [];
  const negative: string[] = [];
  let into = prompt;
  for (const line of hasSettings ? lines.slice(0, -1) : lines) {
    const trimmed = line.trim();
    const isNegative = trimmed.startsWith(NEGATIVE);
    if (isNegative) into = negative;
    const content = isNegative ? trimmed.slice(NEGATIVE.length).trim() : trimmed;
    if (into.length > 0 || content !== '') into.push(content);
  }
  return {
    prompt: prompt.join('\n'),
    negativePrompt: negative.join('\n'),
    settings: hasSettings ? settings : [],
  };
}

/** A setting's value; undefined if it is missing. Of two of one name, the last. */
export function settingOf({ settings }: PngParameters, name: string): string | undefined {
  return settings.findLast(([key]) => key === name)?.[1];
}

/**
 * Each name stands directly before a colon. What is passed over on the way is no setting, so the line is looked at once from left to right,
 * however it was made.
 */
function parseSettings(line: string): (readonly [string, string])[] {
  const settings: (readonly [string, string])[] = [];
  for (let at = 0; ;) {
    const colon = line.indexOf(':', at);
    if (colon < 0) return settings;
    const name = nameBefore(line, at, colon);
    if (name === undefined) {
      at = colon + 1;
      continue;
    }
    VALUE.lastIndex = colon + 1;
    const value = VALUE.exec(line)?.[1] ?? '';
    at = VALUE.lastIndex;
    settings.push([name, unquote(value)]);
  }
}

function nameBefore(line: string, start: number, end: number): string | undefined {
  let from = end;
  while (from > start && NAME_CHARACTER.test(line[from - 1]!)) from--;
  const name = line.slice(from, end).replace(/^[ \-/]+/, '');
  return NAME.test(name) ? name : undefined;
}

/** Beyond A1111, a value that its reader would not give back as it is stands in quotes too. */
function quote(value: string): string {
  return /[,:\n]|^"|^\s|\s$/.test(value) ? JSON.stringify(value) : value;
}

function unquote(value: string): string {
  if (!value.startsWith('"') || !value.endsWith('"')) return value;
  try {
    const parsed: unknown = JSON.parse(value);
    return typeof parsed === 'string' ? parsed : value;
  } catch {
    return value;
  }
}

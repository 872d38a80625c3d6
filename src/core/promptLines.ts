/**
 * Sample prompts as kohya's trainers write them, one a line: `a cat --n blurry --w 512 --h 768 --d 42 --l 7.5 --s 20 --ss euler`.
 * Behind the prompt: `n` negative prompt, `w` and `h` width and height in pixels, `d` seed, `l` guidance scale, `s` inference steps,
 * `ss` sampler. Lines that are empty or begin with `#` say nothing.
 *
 * Source: kohya-ss/sd-scripts, the syntax of `--sample_prompts` files.
 */

import type { SamplePrompt } from './trainOptions.ts';

/** What one line asks for. What it does not say is left to the settings of the run. */
export interface PromptLine {
  readonly prompt: string;
  readonly negativePrompt?: string;
  /** Pixels, a multiple of 8: kohya rounds down, and so do we. */
  readonly width?: number;
  readonly height?: number;
  readonly seed?: number;
  readonly guidanceScale?: number;
  readonly numInferenceSteps?: number;
  /** As written, e.g. `euler_a`. */
  readonly sampler?: string;
}

export interface ReadPromptLines {
  readonly lines: readonly PromptLine[];
  /** What was passed over and why, a sentence each. */
  readonly problems: readonly string[];
}

type Draft = { -readonly [K in keyof PromptLine]: PromptLine[K] };

/** Sets one option from its text. Returns why it cannot, or null. */
type Setter = (line: Draft, text: string) => string | null;

const MAX_SEED = 4_294_967_295;

function wholeNumber(text: string, low: number, high: number): number | null {
  const value = Number(text);
  return /^\d+$/.test(text) && value >= low && value <= high ? value : null;
}

function side(key: 'width' | 'height'): Setter {
  return (line, text) => {
    const value = wholeNumber(text, 64, 4096);
    if (value === null) return `the ${key} needs a whole number from 64 to 4096`;
    line[key] = value - (value % 8);
    return null;
  };
}

const setters: Readonly<Record<string, Setter>> = {
  n: (line, text) => {
    line.negativePrompt = text;
    return null;
  },
  w: side('width'),
  h: side('height'),
  d: (line, text) => {
    const value = wholeNumber(text, 0, MAX_SEED);
    if (value === null) return `the seed needs a whole number from 0 to ${MAX_SEED}`;
    line.seed = value;
    return null;
  },
  l: (line, text) => {
    const value = Number(text);
    if (!/^\d*\.?\d+$|^\d+\.$/.test(text) || value < 1 || value > 30)
      return 'the guidance scale needs a number from 1 to 30';
    line.guidanceScale = value;
    return null;
  },
  s: (line, text) => {
    const value = wholeNumber(text, 1, 1000);
    if (value === null) return 'the steps need a whole number from 1 to 1000';
    line.numInferenceSteps = value;
    return null;
  },
  ss: (line, text) => {
    line.sampler = text;
    return null;
  },
};

/** Reads one line. An option is ` --` and its letters, as in kohya's files; anything else behind ` --` is named and passed over. */
export function readPromptLine(text: string): { readonly line: PromptLine; readonly problems: readonly string[] } {
  const [prompt = '', ...parts] = ` ${text}`.split(' --');
  const line: Draft = { prompt: prompt.trim() };
  const problems: string[] = [];
  for (const part of parts) {
    const [, name = '', value = ''] = /^([a-z]+)(?:\s+(.*))?$/is.exec(part.trim()) ?? [];
    const setter = Object.hasOwn(setters, name.toLowerCase()) ? setters[name.toLowerCase()] : undefined;
    if (setter === undefined) problems.push(`“--${part.trim()}” was left out: no such option is known.`);
    else if (value.trim() === '') problems.push(`“--${name}” was left out: its value is missing.`);
    else {
      const problem = setter(line, value.trim());
      if (problem !== null) problems.push(`“--${name} ${value.trim()}” was left out: ${problem}.`);
    }
  }
  return { line, problems };
}

/** Reads a file or a paste of several lines. */
export function readPromptLines(text: string): ReadPromptLines {
  const lines: PromptLine[] = [];
  const problems: string[] = [];
  for (const raw of text.split(/\r\n|\r|\n/)) {
    if (raw.trim() === '' || raw.trim().startsWith('#')) continue;
    const read = readPromptLine(raw);
    lines.push(read.line);
    problems.push(...read.problems);
  }
  return { lines, problems };
}

/** Whether a text says more than a prompt: worth reading as lines when it is pasted into a prompt's field. */
export function isPromptLines(text: string): boolean {
  return /[\r\n]/.test(text.trim()) || /(?:^|\s)--(?:n|w|h|d|l|s|ss)\s/i.test(text);
}

/** One line that {@link readPromptLine} reads as `line` again, if its texts have no line breaks and no ` --` in them. */
export function writePromptLine(line: PromptLine): string {
  const options: readonly [string, string | number | undefined][] = [
    ['n', line.negativePrompt],
    ['w', line.width],
    ['h', line.height],
    ['d', line.seed],
    ['l', line.guidanceScale],
    ['s', line.numInferenceSteps],
    ['ss', line.sampler],
  ];
  const given = options.filter(([, value]) => value !== undefined && value !== '');
  return [line.prompt, ...given.map(([name, value]) => `--${name} ${value}`)].join(' ').trim();
}

/** As the run's own sample prompts. Lines without a seed get `firstSeed` and those that follow it. */
export function samplePromptsOf(
  lines: readonly PromptLine[],
  firstSeed: number,
): { readonly prompts: readonly SamplePrompt[]; readonly problems: readonly string[] } {
  const problems = lines
    .filter(({ sampler }) => sampler !== undefined && sampler.toLowerCase() !== 'ddim')
    .map(({ sampler }) => `“--ss ${sampler}” was left out: samples are drawn with DDIM.`);
  const prompts = lines.map((line, i): SamplePrompt => {
    const { sampler: _sampler, ...rest } = line;
    return { ...rest, seed: line.seed ?? (firstSeed + i) % 2 ** 32 };
  });
  return { prompts, problems };
}

/** A sample prompt as a line. */
export function linesOf(prompts: readonly SamplePrompt[]): string {
  return prompts.map(writePromptLine).join('\n');
}

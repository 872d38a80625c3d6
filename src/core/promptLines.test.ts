// Plan: kohya's own examples; then properties over random lines: what is written is read as the same again, whatever is read
// never throws, keeps the number of lines, and loses nothing without naming it.
import { describe, expect, it, test } from 'vitest';
import { isPromptLines, type PromptLine, readPromptLine, readPromptLines, writePromptLine } from './promptLines.ts';
import { deriveSeed } from './rng.ts';

describe('reading', () => {
  it('takes every option of the syntax, in any order and case', () => {
    const text = 'masterpiece, 1girl --n low quality, bad anatomy --w 768 --H 770 --d 1 --l 7.5 --s 28 --ss euler_a';
    expect(readPromptLine(text)).toEqual({
      line: {
        prompt: 'masterpiece, 1girl',
        negativePrompt: 'low quality, bad anatomy',
        width: 768,
        height: 768,
        seed: 1,
        guidanceScale: 7.5,
        numInferenceSteps: 28,
        sampler: 'euler_a',
      },
      problems: [],
    });
  });

  it('passes over comments and empty lines, whatever ends a line', () => {
    const { lines, problems } = readPromptLines('# prompt file\r\n\na cat\r  # not this\ra dog --d 7\n\n');
    expect(lines).toEqual([{ prompt: 'a cat' }, { prompt: 'a dog', seed: 7 }]);
    expect(problems).toEqual([]);
  });

  it('names what it leaves out', () => {
    expect(readPromptLine('a cat --cn x.png --s many --l 99 --w --d -1 --f 3').problems).toEqual([
      '“--cn x.png” was left out: no such option is known.',
      '“--s many” was left out: the steps need a whole number from 1 to 1000.',
      '“--l 99” was left out: the guidance scale needs a number from 1 to 30.',
      '“--w” was left out: its value is missing.',
      '“--d -1” was left out: the seed needs a whole number from 0 to 4294967295.',
      '“--f 3” was left out: no such option is known.',
    ]);
  });

  it('leaves dashes inside words and prompts alone', () => {
    expect(readPromptLine('a well-known cat -- no, a dog-like one')).toEqual({
      line: { prompt: 'a well-known cat' },
      problems: ['“--no, a dog-like one” was left out: no such option is known.'],
    });
    expect(readPromptLine('state--of--art').line).toEqual({ prompt: 'state--of--art' });
    expect(readPromptLine('--d 5').line).toEqual({ prompt: '', seed: 5 });
    expect(readPromptLine('a cat --constructor 5').problems).toHaveLength(1);
  });

  it('knows when a paste is worth reading', () => {
    expect(['a cat\na dog', 'a cat --d 4', 'x --SS euler'].map(isPromptLines)).toEqual([true, true, true]);
    expect(['a cat', ' a cat\n', 'a cat -- the best', 'a --data centre'].map(isPromptLines)).toEqual(
      Array(4).fill(false),
    );
  });
});

/** A stream of whole numbers below `below`. */
function draws(seed: number): (below: number) => number {
  let n = 0;
  return (below) => deriveSeed(seed, 'draw', n++) % below;
}

const words = [
  'a cat',
  'sks',
  'oil, on canvas',
  '(red:1.2)',
  'état',
  '猫',
  'x-ray',
  '#1',
  '{a|b}',
  "it's",
  'n 5',
  '-s 3',
];

function randomLine(seed: number): PromptLine {
  const draw = draws(seed);
  const text = (): string => Array.from({ length: 1 + draw(3) }, () => words[draw(words.length)]).join(' ');
  const maybe = <T>(make: () => T): T | undefined => (draw(2) === 0 ? undefined : make());
  const line = {
    prompt: text(),
    negativePrompt: maybe(text),
    width: maybe(() => 64 + 8 * draw(100)),
    height: maybe(() => 64 + 8 * draw(100)),
    seed: maybe(() => draw(2 ** 32)),
    guidanceScale: maybe(() => 1 + draw(290) / 10),
    numInferenceSteps: maybe(() => 1 + draw(1000)),
    sampler: maybe(() => ['ddim', 'euler_a', 'dpmsolver++'][draw(3)]),
  };
  return Object.fromEntries(Object.entries(line).filter(([, value]) => value !== undefined)) as unknown as PromptLine;
}

test('what is written is read as the same again', () => {
  for (let seed = 0; seed < 500; seed++) {
    const line = randomLine(seed);
    expect(readPromptLine(writePromptLine(line)), `seed ${seed}`).toEqual({ line, problems: [] });
  }
});

test('several lines at once are what each of them is', () => {
  for (let seed = 0; seed < 100; seed++) {
    const lines = Array.from({ length: 1 + (seed % 7) }, (_, i) => randomLine(1000 + 10 * seed + i)).filter(
      ({ prompt }) => !prompt.startsWith('#'),
    );
    expect(readPromptLines(lines.map(writePromptLine).join('\n')).lines).toEqual(lines);
  }
});

test('anything at all is read, in range, and what was not understood is named', () => {
  const pieces = [
    ' --',
    '--',
    'n ',
    'w ',
    's ',
    'ss',
    ' ',
    '9',
    '-1',
    '7.5',
    'é',
    '\t',
    'NaN',
    '1e9',
    'a',
    '#',
    '__proto__',
  ];
  for (let seed = 0; seed < 3000; seed++) {
    const draw = draws(seed);
    const text = Array.from({ length: draw(14) }, () => pieces[draw(pieces.length)]).join('');
    const { line, problems } = readPromptLine(text);
    const { width = 64, height = 64, guidanceScale = 1, numInferenceSteps = 1 } = line;
    expect([width % 8, height % 8], `“${text}”`).toEqual([0, 0]);
    expect(guidanceScale >= 1 && guidanceScale <= 30, `“${text}”`).toBe(true);
    expect(numInferenceSteps >= 1 && numInferenceSteps <= 1000, `“${text}”`).toBe(true);
    // Each part behind ` --` has set something or is named.
    const parts = ` ${text}`.split(' --').length - 1;
    const said = Object.keys(line).length - 1 + problems.length;
    expect(said <= parts && (said > 0 || parts === 0), `“${text}”`).toBe(true);
  }
});

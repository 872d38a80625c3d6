/**
 * Plan: cases recorded from A1111's own grammar; what a random tree of schedules, printed, means is what the tree means; random
 * strings never throw and keep their text; prompts without syntax are unchanged; hostile prompts take no time; call numbers.
 */
import { describe, expect, it } from 'vitest';
import { TorchGenerator } from '../core/rng.ts';
import { schedulePrompt, textAtCall } from './schedule.ts';

const read = (prompt: string, steps = 10): (readonly [number, string])[] =>
  schedulePrompt(prompt, steps).map(({ endAtStep, text }) => [endAtStep, text]);

describe('the second walk of hires fix', () => {
  const second = (prompt: string): (readonly [number, string])[] =>
    schedulePrompt(prompt, 10, 20).map(({ endAtStep, text }) => [endAtStep, text]);

  it('goes on where the first ended: shares from 1, steps from its number of them', () => {
    expect(second('a [cat:dog:0.5]')).toEqual([[10, 'a dog']]);
    expect(second('a [cat:dog:1.5]')).toEqual([
      [5, 'a cat'],
      [10, 'a dog'],
    ]);
    expect(second('a [cat:dog:12]')).toEqual([[10, 'a dog']]);
    expect(second('a [cat:dog:24]')).toEqual([
      [4, 'a cat'],
      [10, 'a dog'],
    ]);
    expect(second('[a|b]').slice(0, 2)).toEqual([
      [1, 'a'],
      [2, 'b'],
    ]);
  });
});

/** Recorded from A1111 1.10's grammar with lark 1.3.1, 10 steps. */
const RECORDED: readonly (readonly [string, readonly (readonly [number, string])[]])[] = [
  ['test', [[10, 'test']]],
  [
    'a [b:3]',
    [
      [3, 'a '],
      [10, 'a b'],
    ],
  ],
  [
    'a [b: 3 ]',
    [
      [3, 'a '],
      [10, 'a b'],
    ],
  ],
  [
    'a [[[b]]:2]',
    [
      [2, 'a '],
      [10, 'a [[b]]'],
    ],
  ],
  [
    '[(a:2):3]',
    [
      [3, ''],
      [10, '(a:2)'],
    ],
  ],
  [
    'a [b : c : 1] d',
    [
      [1, 'a b  d'],
      [10, 'a  c  d'],
    ],
  ],
  [
    'a[b:[c:d:2]:1]e',
    [
      [1, 'abe'],
      [2, 'ace'],
      [10, 'ade'],
    ],
  ],
  ['a [unbalanced', [[10, 'a [unbalanced']]],
  [
    'a [b:.5] c',
    [
      [5, 'a  c'],
      [10, 'a b c'],
    ],
  ],
  [
    '((a][:b:c [d:3]',
    [
      [3, '((a][:b:c '],
      [10, '((a][:b:c d'],
    ],
  ],
  [
    '[a::4]',
    [
      [4, 'a'],
      [10, ''],
    ],
  ],
  [
    '[:b:0.25]',
    [
      [2, ''],
      [10, 'b'],
    ],
  ],
  ['[a:b:0]', [[10, 'b']]],
  ['[a:b:-1]', [[10, 'b']]],
  ['[a:b:1.0]', [[10, 'a']]],
  [
    '[a:b:1]',
    [
      [1, 'a'],
      [10, 'b'],
    ],
  ],
  ['[a:b:1e1]', [[10, 'a']]],
  ['[a:b:99]', [[10, 'a']]],
  [
    '[fe|]male',
    [
      [1, 'female'],
      [2, 'male'],
      [3, 'female'],
      [4, 'male'],
      [5, 'female'],
      [6, 'male'],
      [7, 'female'],
      [8, 'male'],
      [9, 'female'],
      [10, 'male'],
    ],
  ],
  [
    '[fe|||]male',
    [
      [1, 'female'],
      [2, 'male'],
      [3, 'male'],
      [4, 'male'],
      [5, 'female'],
      [6, 'male'],
      [7, 'male'],
      [8, 'male'],
      [9, 'female'],
      [10, 'male'],
    ],
  ],
  [
    '[a|(b:1.1)]',
    [
      [1, 'a'],
      [2, '(b:1.1)'],
      [3, 'a'],
      [4, '(b:1.1)'],
      [5, 'a'],
      [6, '(b:1.1)'],
      [7, 'a'],
      [8, '(b:1.1)'],
      [9, 'a'],
      [10, '(b:1.1)'],
    ],
  ],
  [
    '(a:[b|c])',
    [
      [1, '(a:b)'],
      [2, '(a:c)'],
      [3, '(a:b)'],
      [4, '(a:c)'],
      [5, '(a:b)'],
      [6, '(a:c)'],
      [7, '(a:b)'],
      [8, '(a:c)'],
      [9, '(a:b)'],
      [10, '(a:c)'],
    ],
  ],
  [
    '[[a|b]:c:2]',
    [
      [1, 'a'],
      [2, 'b'],
      [3, 'c'],
      [4, 'c'],
      [5, 'c'],
      [6, 'c'],
      [7, 'c'],
      [8, 'c'],
      [9, 'c'],
      [10, 'c'],
    ],
  ],
  [
    '[a|[b|c]]',
    [
      [1, 'a'],
      [2, 'c'],
      [3, 'a'],
      [4, 'c'],
      [5, 'a'],
      [6, 'c'],
      [7, 'a'],
      [8, 'c'],
      [9, 'a'],
      [10, 'c'],
    ],
  ],
  ['a|b', [[10, 'a|b']]],
  ['[a|b:c] [d:2]', [[10, '[a|b:c] [d:2]']]],
  ['x [a|b]|', [[10, 'x [a|b]|']]],
  ['[(a|b)]', [[10, '[(a|b)]']]],
  ['[d:2] end\\', [[10, '[d:2] end\\']]],
  [
    '[a\\:b:c:2]',
    [
      [2, 'a\\:b'],
      [10, 'c'],
    ],
  ],
  ['[a:b:c:0.5]', [[10, '[a:b:c:0.5]']]],
  ['[a:b]c:2]', [[10, '[a:b]c:2]']]],
  ['[x(y]:z:2]', [[10, '[x(y]:z:2]']]],
  ['[x:(y:z:2)]', [[10, '[x:(y:z:2)]']]],
  [
    '[:2]',
    [
      [2, ''],
      [10, ''],
    ],
  ],
  [
    '[2:2]',
    [
      [2, ''],
      [10, '2'],
    ],
  ],
  ['[:::2]', [[10, '[:::2]']]],
  [
    '(a:b:c)[d:2]',
    [
      [2, '(a:b:c)'],
      [10, '(a:b:c)d'],
    ],
  ],
  ['[a:b:2', [[10, '[a:b:2']]],
  [
    '(a [b:c:0.5]',
    [
      [5, '(a b'],
      [10, '(a c'],
    ],
  ],
  ['[a:b:0.5', [[10, '[a:b:0.5']]],
  ['[a:b:½]', [[10, '[a:b:½]']]],
];

describe('scheduled prompts', () => {
  it.each(RECORDED)('reads %j as A1111 does', (prompt, sections) => expect(read(prompt)).toEqual(sections));

  it.each(['', 'a photo of a cat', 'a, b. c! {d} <e> "f"', 'weights (x:1.2) and [y]', 'a: b', '猫 🐱'])(
    'leaves a prompt without schedules alone: %j',
    (prompt) => expect(read(prompt)).toEqual([[10, prompt]]),
  );

  it('reads a printed tree as the tree itself is read', () => {
    const random = new TorchGenerator(11);
    for (let n = 0; n < 400; n++) {
      const steps = 1 + (random.random() % 12);
      const tree = randomTree(random, 4);
      const sections = schedulePrompt(print(tree), steps);
      expect(sections.at(-1)?.endAtStep).toBe(steps);
      for (let step = 1; step <= steps; step++) {
        const text = sections.find(({ endAtStep }) => step <= endAtStep)?.text;
        expect(text, `${print(tree)} at step ${step} of ${steps}`).toBe(evaluate(tree, step, steps));
      }
    }
  });

  it('never throws, and never makes up text', () => {
    const random = new TorchGenerator(12);
    const alphabet = ['[', ']', '(', ')', ':', '|', '\\', '\n', '0.5', '2', 'a', 'b ', '猫', '🐱', ''];
    for (let n = 0; n < 2000; n++) {
      const prompt = Array.from({ length: random.random() % 24 }, () => pick(random, alphabet)).join('');
      const sections = schedulePrompt(prompt, 5);
      expect(sections.map(({ endAtStep }) => endAtStep)).toEqual([
        ...new Set(sections.map(({ endAtStep }) => endAtStep).sort((a, b) => a - b)),
      ]);
      for (const { text } of sections) expect(isSubsequence(text, prompt), `${text} of ${prompt}`).toBe(true);
    }
  });

  it('takes hostile prompts in its stride', () => {
    const n = 20_000;
    expect(read('['.repeat(n))).toEqual([[10, '['.repeat(n)]]);
    expect(read('(:'.repeat(n))).toEqual([[10, '(:'.repeat(n)]]);
    expect(read(`${'['.repeat(n)}a${':5]'.repeat(n)}`)).toEqual([
      [5, ''],
      [10, 'a'],
    ]);
    expect(read(`${'[a|'.repeat(n)}${']'.repeat(n)}`, 2)).toEqual([
      [1, 'a'],
      [2, ''],
    ]);
  });

  it('counts calls from 0 and sections from 1, as A1111 does', () => {
    const sections = schedulePrompt('[a:b:2]', 4);
    expect([0, 1, 2, 3, 4].map((call) => textAtCall(sections, call))).toEqual(['a', 'a', 'a', 'b', 'b']);
    const turns = schedulePrompt('[a|b]', 4);
    expect([0, 1, 2, 3, 4, 9].map((call) => textAtCall(turns, call))).toEqual(['a', 'a', 'b', 'a', 'b', 'b']);
  });
});

type Tree = string | { before: Tree[]; after: Tree[]; when: string } | { options: Tree[][] } | { inBrackets: Tree[] };

function pick<T>(random: TorchGenerator, choices: readonly T[]): T {
  return choices[random.random() % choices.length]!;
}

function randomTree(random: TorchGenerator, depth: number): Tree[] {
  return Array.from({ length: random.random() % 4 }, (): Tree => {
    const branch = (): Tree[] => randomTree(random, depth - 1);
    const kind = depth === 0 ? 0 : random.random() % 4;
    if (kind === 1)
      return { before: branch(), after: branch(), when: pick(random, ['0.5', '.25', '3', '1.0', '0', '-2', '1e1']) };
    if (kind === 2) return { options: Array.from({ length: 2 + (random.random() % 3) }, branch) };
    if (kind === 3) return { inBrackets: branch() };
    return pick(random, ['a', 'word ', ', ', '\\[', '\\:', '\\|x', '7', ' ']);
  });
}

function print(tree: readonly Tree[]): string {
  return tree
    .map((node) => {
      if (typeof node === 'string') return node;
      if ('when' in node) return `[${print(node.before)}:${print(node.after)}: ${node.when}]`;
      if ('options' in node) return `[${node.options.map(print).join('|')}]`;
      return `(${print(node.inBrackets)}:1.5)`;
    })
    .join('');
}

function evaluate(tree: readonly Tree[], step: number, steps: number): string {
  return tree
    .map((node) => {
      if (typeof node === 'string') return node;
      if ('when' in node) {
        const last = node.when.includes('.') ? Math.floor(Number(node.when) * steps) : Number(node.when);
        return evaluate(step <= last ? node.before : node.after, step, steps);
      }
      if ('options' in node) return evaluate(node.options[(step - 1) % node.options.length]!, step, steps);
      return `(${evaluate(node.inBrackets, step, steps)}:1.5)`;
    })
    .join('');
}

function isSubsequence(part: string, whole: string): boolean {
  let at = 0;
  for (const character of whole) if (part.startsWith(character, at)) at += character.length;
  return at === part.length;
}

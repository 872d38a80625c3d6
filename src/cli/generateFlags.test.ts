// Plan: shortcuts are off unless asked for, and read as numbers; what is no number is refused with what is wanted.
import { CommanderError } from 'commander';
import { expect, test } from 'vitest';
import { generateOptions, type GenerateFlags } from './generateFlags.ts';

function read(...flags: readonly string[]): GenerateFlags {
  const command = generateOptions()
    .exitOverride()
    .configureOutput({ writeErr: () => undefined });
  const needed = ['--model', 'demo', '--prompt', 'a cat', '--out', 'cat.png'];
  return command.parse([...needed, ...flags], { from: 'user' }).opts<GenerateFlags>();
}

test('shortcuts', () => {
  expect(read()).toMatchObject({ guidanceStart: 0, guidanceEnd: 1, reuseInterval: 1, mixedPrecision: 'no' });
  expect(read('--mixed-precision', 'fp16')).toMatchObject({ mixedPrecision: 'fp16' });
  const asked = read('--guidance-start', '0.1', '--guidance-end', '0.8', '--reuse-interval', '3');
  expect(asked).toMatchObject({ guidanceStart: 0.1, guidanceEnd: 0.8, reuseInterval: 3 });
  expect(read('--x', 'reuse=1,2,3').x).toEqual({ kind: 'reuse', values: ['1', '2', '3'] });
  expect(() => read('--reuse-interval', '2.5')).toThrow(CommanderError);
  expect(() => read('--reuse-interval', '2.5')).toThrow('A whole number is wanted.');
  expect(() => read('--guidance-end', 'late')).toThrow('A number is wanted.');
});

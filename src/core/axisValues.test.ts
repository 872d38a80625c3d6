// Plan: lists, A1111's ranges with steps and counts, backwards too; what is no number is refused by name; texts with and without quotes.
import { describe, expect, test } from 'vitest';
import { AxisValuesError, parseAxisNumbers, parseAxisTexts } from './axisValues.ts';

describe('numbers', () => {
  test.each([
    ['1, 2,5', [1, 2, 5]],
    ['1-5', [1, 2, 3, 4, 5]],
    ['1-10 (+3)', [1, 4, 7, 10]],
    ['0-1 [5]', [0, 0.25, 0.5, 0.75, 1]],
    ['0-1(+0.1)', [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1]],
    ['10-5 (-3)', [10, 7]],
    ['3-1', [3, 2, 1]],
    ['-1, 2-3', [-1, 2, 3]],
    ['2-2', [2]],
    ['0-1 [1]', [0]],
  ])('%s', (text, values) => {
    expect(parseAxisNumbers(text)).toEqual(values);
  });

  test.each(['', 'abc', '4 [1]', '1-5 (0)', '1-5 (-1)', '0-1 [5000]', '1-1e9'])('“%s” is refused', (text) => {
    expect(() => parseAxisNumbers(text)).toThrow(AxisValuesError);
  });

  test('the refusal names the part and the remedy', () => {
    expect(() => parseAxisNumbers('1, two')).toThrow('“two” is no number and no range.');
  });
});

test('texts', () => {
  expect(parseAxisTexts('red, blue ,"a cat, sitting", say ""hi""')).toEqual([
    'red',
    'blue',
    'a cat, sitting',
    'say ""hi""',
  ]);
  expect(parseAxisTexts('"say ""hi""",')).toEqual(['say "hi"']);
  expect(parseAxisTexts(' , ')).toEqual([]);
});

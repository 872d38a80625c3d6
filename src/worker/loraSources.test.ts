// Plan: a prompt's tags name runs and files of the library; of two with one name, the newest; a name that is not here is refused
// with those that are.
import { expect, test } from 'vitest';
import { LoraNotFoundError, taggedLoras } from './loraSources.ts';

const runs = [
  { id: 'old', name: 'style', startedAt: 1 },
  { id: 'new', name: 'style', startedAt: 3 },
  { id: 'other', name: 'a red style', startedAt: 0 },
];
const files = [
  { id: 'file', name: 'ink', addedAt: 2 },
  { id: 'older', name: 'a red style', addedAt: -1 },
];

test('a tag takes the newest LoRA of its name, run or file, at its weights', () => {
  expect(taggedLoras('<lora:style:0.8> a cat <lora:a red style:0.5:1><lora:ink>', runs, files)).toEqual([
    { source: { kind: 'run', runId: 'new' }, weight: 0.8, textEncoderWeight: 0.8 },
    { source: { kind: 'run', runId: 'other' }, weight: 1, textEncoderWeight: 0.5 },
    { source: { kind: 'file', loraId: 'file' }, weight: 1, textEncoderWeight: 1 },
  ]);
});

test('a name that is not here is refused with those that are', () => {
  expect(() => taggedLoras('<lora:missing:1>', runs, files)).toThrow(LoraNotFoundError);
  expect(() => taggedLoras('<lora:missing:1>', runs, files)).toThrow('There is no LoRA called “missing”');
});

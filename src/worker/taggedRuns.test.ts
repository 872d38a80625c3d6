// Plan: tags find runs by name, the newest of several; a name that is not there is an error that says which are.
import { describe, expect, it } from 'vitest';
import { LoraNotFoundError, taggedRuns } from './taggedRuns.ts';

const runs = [
  { id: 'old', name: 'my cat', startedAt: 1 },
  { id: 'new', name: 'my cat', startedAt: 3 },
  { id: 'dog', name: 'dog', startedAt: 2 },
];

describe('LoRAs named in a prompt', () => {
  it('are the newest runs of these names', () => {
    expect(taggedRuns('a <lora:my cat:0.5> and <lora:dog:0.2:1>', runs)).toEqual([
      { runId: 'new', weight: 0.5, textEncoderWeight: 0.5 },
      { runId: 'dog', weight: 1, textEncoderWeight: 0.2 },
    ]);
    expect(taggedRuns('none', runs)).toEqual([]);
  });

  it('must be there', () => {
    expect(() => taggedRuns('<lora:cat:1>', runs)).toThrow(new LoraNotFoundError('cat', ['my cat', 'dog']));
    expect(() => taggedRuns('<lora:cat:1>', [])).toThrow('There is no LoRA called “cat”');
  });
});

// Plan: each form of the tag; what is not a LoRA or has no number; text without tags; random strings never throw.
import { describe, expect, it } from 'vitest';
import { TorchGenerator } from '../core/rng.ts';
import { extractLoraTags } from './loraTags.ts';

describe('LoRA tags', () => {
  it.each([
    ['<lora:cat>', 'cat', 1, 1],
    ['<lora:cat:0.8>', 'cat', 0.8, 0.8],
    ['<lora:cat:0.5:1>', 'cat', 0.5, 1],
    ['<lora:my cat (v2):-1>', 'my cat (v2)', -1, -1],
    ['<lora:cat:te=0.2:unet=0.4>', 'cat', 0.2, 0.4],
    ['<lora:cat:0.7:unet=0.4>', 'cat', 0.7, 0.4],
    ['<lora:cat:te=0.2>', 'cat', 0.2, 0.2],
    ['<lyco:cat:0.3>', 'cat', 0.3, 0.3],
  ])('%s', (tag, name, textEncoderWeight, unetWeight) => {
    expect(extractLoraTags(`a ${tag}b`)).toEqual({
      text: 'a b',
      loras: [{ name, textEncoderWeight, unetWeight }],
      ignored: [],
    });
  });

  it('keeps their order', () => {
    const { text, loras } = extractLoraTags('<lora:a:1> x <lora:b:2>, y<lora:a:3>');
    expect(text).toBe(' x , y');
    expect(loras.map(({ name, unetWeight }) => [name, unetWeight])).toEqual([
      ['a', 1],
      ['b', 2],
      ['a', 3],
    ]);
  });

  it('takes out and names what does nothing', () => {
    expect(extractLoraTags('x<hypernet:h:1><lora:cat:much><lora:te=1><lora:cat:>')).toEqual({
      text: 'x',
      loras: [],
      ignored: ['<hypernet:h:1>', '<lora:cat:much>', '<lora:te=1>', '<lora:cat:>'],
    });
  });

  it.each(['', 'a < b > c', '<lora>', '<lora:>', 'a <cat> b', '<lora:x', '(x:1.2)'])('leaves %j alone', (text) =>
    expect(extractLoraTags(text)).toEqual({ text, loras: [], ignored: [] }),
  );

  it('never throws', () => {
    const random = new TorchGenerator(6);
    const alphabet = ['<', '>', 'lora', ':', '=', 'te', '0.5', 'x', ' '];
    for (let n = 0; n < 2000; n++) {
      const prompt = Array.from({ length: random.random() % 20 }, () => alphabet[random.random() % 9]!).join('');
      for (const { name, textEncoderWeight, unetWeight } of extractLoraTags(prompt).loras) {
        expect([typeof name, Number.isNaN(textEncoderWeight + unetWeight)]).toEqual(['string', false]);
      }
    }
  });
});

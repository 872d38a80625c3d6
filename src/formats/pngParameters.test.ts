/**
 * Plan: texts as A1111 writes them, read and written back to the same characters; its reader's rules for what is a setting; random
 * parameters come back; random text never throws and takes no time; through a PNG file, whichever text chunk holds it.
 */
import { zlibSync } from 'fflate';
import { describe, expect, it } from 'vitest';
import { TorchGenerator } from '../core/rng.ts';
import { crc32, encodePng } from './png.ts';
import { formatParameters, parseParameters, settingOf, type PngParameters } from './pngParameters.ts';
import { PngError, readPngTexts } from './pngText.ts';

const FULL = `a cat, (red:1.2) <lora:cat style:0.8>
on two lines
Negative prompt: blurry: very, [bad]
and more
Steps: 20, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 7.5, Seed: 42, Size: 512x768, Model hash: 6ce0161689, Model: v1-5, Clip skip: 2, Lora hashes: "cat style: 0123456789ab, dog: ba9876543210", Some future/thing-2: "a \\"b\\", c", Version: v1.10.1`;

describe('the parameters text', () => {
  it('is read and written as A1111 does', () => {
    const parameters = parseParameters(FULL);
    expect(parameters.prompt).toBe('a cat, (red:1.2) <lora:cat style:0.8>\non two lines');
    expect(parameters.negativePrompt).toBe('blurry: very, [bad]\nand more');
    expect(parameters.settings).toEqual([
      ['Steps', '20'],
      ['Sampler', 'DPM++ 2M'],
      ['Schedule type', 'Karras'],
      ['CFG scale', '7.5'],
      ['Seed', '42'],
      ['Size', '512x768'],
      ['Model hash', '6ce0161689'],
      ['Model', 'v1-5'],
      ['Clip skip', '2'],
      ['Lora hashes', 'cat style: 0123456789ab, dog: ba9876543210'],
      ['Some future/thing-2', 'a "b", c'],
      ['Version', 'v1.10.1'],
    ]);
    expect(formatParameters(parameters)).toBe(FULL);
  });

  it.each<readonly [string, PngParameters, string]>([
    [
      'no negative prompt',
      {
        prompt: 'a',
        negativePrompt: '',
        settings: [
          ['Steps', '1'],
          ['Seed', '2'],
          ['Size', '8x8'],
        ],
      },
      'a\nSteps: 1, Seed: 2, Size: 8x8',
    ],
    [
      'no prompt at all',
      {
        prompt: '',
        negativePrompt: '',
        settings: [
          ['Steps', '1'],
          ['Seed', '2'],
          ['Size', '8x8'],
        ],
      },
      'Steps: 1, Seed: 2, Size: 8x8',
    ],
    [
      'a negative prompt only',
      {
        prompt: '',
        negativePrompt: 'b',
        settings: [
          ['Steps', '1'],
          ['Seed', '2'],
          ['Size', '8x8'],
        ],
      },
      'Negative prompt: b\nSteps: 1, Seed: 2, Size: 8x8',
    ],
    ['a prompt only', { prompt: 'a\n\nSteps: 1, Seed: 2', negativePrompt: '', settings: [] }, 'a\n\nSteps: 1, Seed: 2'],
    [
      'values with quotes, colons and line breaks',
      {
        prompt: 'a',
        negativePrompt: '',
        settings: [
          ['aa', '"x"'],
          ['bb', 'x\ny: "z"'],
          ['cc', 'say "x"'],
        ],
      },
      'a\naa: "\\"x\\"", bb: "x\\ny: \\"z\\"", cc: say "x"',
    ],
  ])('%s', (_what, parameters, text) => {
    expect(formatParameters(parameters)).toBe(text);
    expect(parseParameters(text)).toEqual(parameters);
  });

  it('reads what other programs leave', () => {
    const read = parseParameters(
      '  a  \r\n Negative prompt:b\nSteps: 20,Seed:1 , ENSD: , Hashes: {"a": 1}, x, Model: "unclosed',
    );
    expect([read.prompt, read.negativePrompt]).toEqual(['a', 'b']);
    expect(settingOf(read, 'Seed')).toBe('1 ');
    expect(settingOf(read, 'ENSD')).toBe('');
    expect(settingOf(read, 'Model')).toBe('"unclosed');
    expect(settingOf(read, 'Sampler')).toBeUndefined();
    expect(settingOf(parseParameters('aa: 1, bb: 2, aa: 3'), 'aa')).toBe('3');
  });

  it('brings random parameters back', () => {
    const random = new TorchGenerator(21);
    for (let n = 0; n < 500; n++) {
      const parameters: PngParameters = {
        prompt: randomLines(random),
        negativePrompt: randomLines(random),
        settings: Array.from(
          { length: 3 + (random.random() % 5) },
          (_, i) => [`Name ${i}`, randomText(random)] as const,
        ),
      };
      expect(parseParameters(formatParameters(parameters))).toEqual(parameters);
    }
  });

  it('never throws on random text', () => {
    const random = new TorchGenerator(22);
    for (let n = 0; n < 2000; n++) {
      const { prompt, settings } = parseParameters(randomText(random, 40));
      expect(typeof prompt).toBe('string');
      for (const [name] of settings) expect(name).toMatch(/^[\p{L}\p{N}_][\p{L}\p{N}_ \-/]+$/u);
    }
    for (const hostile of ['a ', ':', 'a:', '"', 'ab: "\\', 'ab: ",']) {
      expect(parseParameters(hostile.repeat(100_000)).negativePrompt).toBe('');
    }
  });
});

const pixel = { width: 1, height: 1, data: Uint8Array.of(1, 2, 3) };

/** encodePng's file with a chunk of ours before the pixels. */
function withChunk(type: string, data: Uint8Array): Uint8Array {
  const png = encodePng(pixel);
  const chunk = new Uint8Array(12 + data.length);
  const view = new DataView(chunk.buffer);
  view.setUint32(0, data.length);
  chunk.set(
    Array.from(type, (letter) => letter.charCodeAt(0)),
    4,
  );
  chunk.set(data, 8);
  view.setUint32(8 + data.length, crc32(chunk.subarray(4, 8 + data.length)));
  const afterHeader = 8 + 25;
  return Uint8Array.from([...png.subarray(0, afterHeader), ...chunk, ...png.subarray(afterHeader)]);
}

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);
const join = (...parts: readonly Uint8Array[]): Uint8Array => Uint8Array.from(parts.flatMap((part) => [...part]));

describe('texts of a PNG', () => {
  it.each(['café, plain', '猫 🐱', FULL])('come back from encodePng: %s', (text) => {
    expect([...readPngTexts(encodePng(pixel, { parameters: text, Comment: 'x' }))]).toEqual([
      ['parameters', text],
      ['Comment', 'x'],
    ]);
  });

  it('are read where they are compressed', () => {
    const packed = zlibSync(bytesOf('猫 '.repeat(2000)));
    const international = withChunk('iTXt', join(bytesOf('parameters\0\x01\0en\0Parameter\0'), packed));
    expect(readPngTexts(international).get('parameters')).toBe('猫 '.repeat(2000));
    const old = withChunk('zTXt', join(bytesOf('parameters\0\0'), zlibSync(Uint8Array.of(0x63, 0xe9))));
    expect(readPngTexts(old).get('parameters')).toBe('cé');
  });

  it('are missing from a picture without any', () => expect(readPngTexts(encodePng(pixel)).size).toBe(0));

  it.each<readonly [string, Uint8Array, string]>([
    ['no PNG', bytesOf('GIF89a'), 'not-png'],
    ['nothing', new Uint8Array(), 'not-png'],
    ['half a PNG', encodePng(pixel).subarray(0, 40), 'truncated'],
    ['a text without its zero', withChunk('tEXt', bytesOf('parameters')), 'damaged'],
    ['a text that is not packed', withChunk('zTXt', bytesOf('parameters\0\0nonsense')), 'damaged'],
    ['a text cut short', withChunk('iTXt', bytesOf('parameters\0\x01\0en')), 'damaged'],
    ['a bomb', withChunk('zTXt', join(bytesOf('a\0\0'), zlibSync(new Uint8Array(20_000_000)))), 'text-too-large'],
  ])('say what is wrong with %s', (_what, png, reason) => {
    expect(() => readPngTexts(png, 'x.png')).toThrow(expect.objectContaining({ code: 'png', reason, file: 'x.png' }));
  });

  it('refuse or read every damaged file, with a typed error', () => {
    const random = new TorchGenerator(23);
    const png = withChunk('iTXt', join(bytesOf('parameters\0\x01\0\0\0'), zlibSync(bytesOf(FULL))));
    let refused = 0;
    for (let n = 0; n < 2000; n++) {
      const mutated = png.slice(0, n % 5 === 0 ? random.random() % png.length : png.length);
      for (let k = random.random() % 4; k >= 0; k--) mutated[random.random() % mutated.length] = random.random() & 255;
      const error = thrownBy(() => readPngTexts(mutated));
      expect([undefined, PngError]).toContain(error?.constructor);
      if (error !== undefined) refused++;
    }
    expect(refused).toBeGreaterThan(1000);
  });
});

function thrownBy(run: () => unknown): Error | undefined {
  try {
    run();
  } catch (error) {
    return error as Error;
  }
  return undefined;
}

function randomText(random: TorchGenerator, length = 8): string {
  const alphabet = ['a', 'B ', ',', ':', '"', '\\', '\n', '1', '猫', '🐱', ' ', '(x:1.2)', '-', '/'];
  return Array.from({ length: random.random() % length }, () => alphabet[random.random() % alphabet.length]!).join('');
}

/** Lines as a reader that trims them leaves them; none that looks like settings. */
function randomLines(random: TorchGenerator): string {
  return randomText(random, 16)
    .replaceAll(':', ';')
    .split('\n')
    .map((line) => line.trim())
    .join('\n')
    .trim();
}

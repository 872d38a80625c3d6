// Plan: a recipe comes back as it was, from its file and from its link; whatever was changed, cut or made up is refused with the place
// that is wrong; options of other versions are named.
import { describe, expect, it, test } from 'vitest';
import { presets } from '../core/presets.ts';
import { deriveSeed } from '../core/rng.ts';
import { LoratoryError } from '../core/errors.ts';
import { readRecipe, type Recipe, recipeFragment, writeRecipe } from './recipe.ts';

const sha = (digit: string): string => digit.repeat(64);

const recipe: Recipe = {
  software: { name: 'loratory', version: '0.1.0' },
  name: 'my dog',
  triggerWord: 'sks',
  model: { id: 'a/b', revision: 'c0ffee', weights: { 'unet/diffusion_pytorch_model.safetensors': sha('a') } },
  background: '#ffffff',
  options: {
    ...presets.style,
    blockLearningRates: { mid_block: 0.5 },
    samplePrompts: [{ prompt: 'sks, 猫', seed: 7, width: 256 }],
  },
  images: [
    {
      fileName: 'a.png',
      sha256: sha('0'),
      caption: 'a dog',
      repeats: null,
      crop: null,
      heldOut: false,
      maskSha256: null,
    },
    {
      fileName: 'b.png',
      sha256: sha('1'),
      caption: '',
      repeats: 3,
      crop: { x: 0.5, y: 0.25, zoom: 2 },
      heldOut: true,
      maskSha256: sha('2'),
    },
  ],
};

it('comes back from its file, its link, and the whole address', () => {
  const fragment = recipeFragment(recipe);
  for (const text of [
    writeRecipe(recipe),
    fragment,
    `#${fragment}`,
    ` https://example.org/studio/?x=1#${fragment}\n`,
  ]) {
    expect(readRecipe(text)).toEqual({ recipe, notes: [] });
  }
});

it('makes links of a length that programs bear', () => {
  const images = Array.from({ length: 50 }, (_, i) => ({
    ...recipe.images[0]!,
    fileName: `picture-${i}.png`,
    sha256: Array.from({ length: 64 }, (__, digit) => (deriveSeed(i, 'hex', digit) % 16).toString(16)).join(''),
    caption: `a photo of a dog, number ${i}, on grass`,
  }));
  expect(recipeFragment({ ...recipe, images }).length).toBeLessThan(6000);
});

describe('refuses', () => {
  const changed = (change: (json: Record<string, unknown>) => void): string => {
    const json = JSON.parse(writeRecipe(recipe)) as Record<string, unknown>;
    change(json);
    return JSON.stringify(json);
  };
  const image = (json: Record<string, unknown>): Record<string, unknown> =>
    (json['images'] as Record<string, unknown>[])[1]!;

  it.each<[string, string, string]>([
    ['text', 'hello', 'it is not valid JSON'],
    ['a list', '[]', 'it is no object'],
    ['another format', '{"format":"x"}', 'its format is not loratory-recipe'],
    ['another version', changed((json) => (json['version'] = 2)), 'its version is 2, and 1 is known here'],
    ['a missing name', changed((json) => delete json['name']), 'name is missing, but it must be text'],
    ['no images', changed((json) => (json['images'] = [])), 'it has no images'],
    [
      'a short hash',
      changed((json) => (image(json)['sha256'] = 'ab')),
      'images[1].sha256 is "ab", but it must be a SHA-256 in hex',
    ],
    [
      'a crop outside',
      changed((json) => (image(json)['crop'] = { x: 2, y: 0, zoom: 1 })),
      'images[1].crop.x is 2, but it must be a number from 0 to 1',
    ],
    ['a crop of nothing', changed((json) => (image(json)['crop'] = 'middle')), 'images[1].crop is no object'],
    [
      'an option of another kind',
      changed((json) => ((json['options'] as Record<string, unknown>)['rank'] = '4')),
      'options.rank is "4", but it must be a whole number from 1 to 320',
    ],
    ['no options', changed((json) => delete json['options']), 'it has no options'],
    [
      'a colour in words',
      changed((json) => (json['background'] = 'white')),
      'background is "white", but it must be a colour such as #ffffff',
    ],
  ])('%s', (_, text, reason) => {
    expect(() => readRecipe(text)).toThrow(`This is no recipe that can be read: ${reason}.`);
  });

  it('a newer version, with the remedy', () => {
    const error = caught(() => readRecipe(changed((json) => (json['version'] = 9))));
    expect(error.remedy).toBe('Open it with a newer version of Loratory.');
  });

  it('a cut link', () => {
    expect(() => readRecipe(recipeFragment(recipe).slice(0, -9))).toThrow('The link is damaged');
  });
});

function caught(act: () => unknown): LoratoryError {
  try {
    act();
  } catch (error) {
    if (error instanceof LoratoryError) return error;
  }
  throw new Error('nothing was refused');
}

test('options of other versions are named', () => {
  const json = JSON.parse(writeRecipe(recipe)) as { options: Record<string, unknown> & { optimizer: object } };
  delete json.options['emaDecay'];
  const text = JSON.stringify({
    ...json,
    options: { ...json.options, warp: 1, optimizer: { ...json.options.optimizer, foo: 2 } },
  });
  expect(readRecipe(text).notes).toEqual([
    'EMA decay is not in it and is at its default.',
    'The option optimizer.foo is not known to this version and was left out.',
    'The option warp is not known to this version and was left out.',
  ]);
  expect(readRecipe(text).recipe.options).toEqual({ ...recipe.options, emaDecay: null });
});

test('damaged files are read or refused by name, never otherwise', () => {
  const text = writeRecipe(recipe);
  for (let n = 0; n < 2000; n++) {
    const at = deriveSeed(n, 'at') % text.length;
    const kind = deriveSeed(n, 'kind') % 3;
    const char = String.fromCharCode(32 + (deriveSeed(n, 'char') % 95));
    const damaged = text.slice(0, at) + (kind === 0 ? '' : char) + text.slice(at + (kind === 1 ? 0 : 1));
    const outcome = ((): string => {
      try {
        readRecipe(damaged);
        return 'read';
      } catch (error) {
        return error instanceof LoratoryError ? 'refused' : String(error);
      }
    })();
    expect(['read', 'refused'], `damage ${n}`).toContain(outcome);
  }
});

// Plan: a recipe made of a folder finds its pictures again whatever they are called, in its order, with its captions and crops; pictures
// that are gone are named; what will make the result another is said; and a job is packed on the command line.
import { mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { unzipSync } from 'fflate';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { presets } from '../core/presets.ts';
import { encodePng } from '../formats/png.ts';
import { readRecipe, writeRecipe } from '../formats/recipe.ts';
import { jobCommand } from './jobCommand.ts';
import { folderTree } from './nodeFiles.ts';
import { recipeDifferences, RecipeImagesMissingError, recipeImages, recipeModel, recipeOf } from './recipes.ts';
import { openTrainingFolder } from './trainingFolder.ts';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'loratory-recipe-'));
  for (const [i, name] of ['a', 'b', 'c'].entries()) {
    const data = new Uint8Array(40 * 30 * 3).fill(40 + i);
    await writeFile(join(folder, `${name}.png`), encodePng({ width: 40, height: 30, data }));
    await writeFile(join(folder, `${name}.txt`), `picture ${name}`);
  }
});

afterEach(() => rm(folder, { recursive: true }));

async function recipe() {
  const { images } = await openTrainingFolder(folder);
  const model = { id: 'demo', revision: '', weights: { 'unet/x.safetensors': '0'.repeat(64) } };
  const crop = { x: 0.5, y: 0.25, zoom: 2 };
  const [a, b, c] = images;
  if (!a || !b || !c) throw new Error('three pictures were written');
  const chosen = [c, { ...a, caption: 'another', crop, repeats: 4 }];
  return recipeOf({ name: 'x', triggerWord: 'sks', model, options: presets.style, images: chosen });
}

test('its pictures are found by their contents', async () => {
  const { recipe: read, notes } = readRecipe(writeRecipe(await recipe()));
  expect(notes).toEqual([]);
  await rename(join(folder, 'a.png'), join(folder, 'z.png'));
  const { images } = await openTrainingFolder(folder);
  const found = recipeImages(read, images, folder);
  expect(found.map(({ id, caption, repeats, crop }) => ({ id, caption, repeats, crop }))).toEqual([
    { id: 'c.png', caption: 'picture c', repeats: null, crop: null },
    { id: 'z.png', caption: 'another', repeats: 4, crop: { x: 0.5, y: 0.25, zoom: 2 } },
  ]);
  await rm(join(folder, 'z.png'));
  const { images: fewer } = await openTrainingFolder(folder);
  expect(() => recipeImages(read, fewer, 'pics')).toThrow(RecipeImagesMissingError);
  expect(() => recipeImages(read, fewer, 'pics')).toThrow('1 picture of the recipe is not in pics: a.png.');
});

test('another model is named', async () => {
  await writeFile(join(folder, 'note.safetensors'), 'not one of the weights');
  expect(await recipeModel('m', await folderTree(folder))).toEqual({ id: 'm', revision: '', weights: {} });
  const made = await recipe();
  const model = {
    id: 'demo',
    revision: '',
    weights: { 'unet/x.safetensors': '1'.repeat(64), 'vae/y.safetensors': '2'.repeat(64) },
  };
  expect(recipeDifferences(made, model, [])).toEqual([
    'The model is not the one of the recipe (demo): unet/x.safetensors differ.',
  ]);
  expect(recipeDifferences(made, made.model, [])).toEqual([]);
});

test('a job is packed', async () => {
  const out = join(folder, 'my job.zip');
  const args = [
    '--model',
    'some/model',
    '--images',
    folder,
    '--out',
    out,
    '--trigger',
    'sks',
    '--rank',
    '7',
    '--epochs',
    '2',
  ];
  const exit = vi.spyOn(process, 'exit').mockImplementation((() => undefined) as unknown as typeof process.exit);
  await jobCommand().parseAsync(args, { from: 'user' });
  expect(exit).toHaveBeenCalledWith(0);
  exit.mockRestore();
  const files = unzipSync(await readFile(out));
  const text = (path: string): string => new TextDecoder().decode(files[`my job-job/${path}`]);
  expect(Object.keys(files)).toContain('my job-job/dataset/1_sks/a.png');
  expect(text('dataset/1_sks/a.txt')).toBe('sks, picture a\n');
  expect(text('config.toml')).toContain('network_dim = 7');
  // Two epochs of three pictures, two at a time.
  expect(text('train_diffusers.sh')).toContain('--max_train_steps 4');
  expect(readRecipe(text('recipe.json')).recipe).toMatchObject({
    triggerWord: 'sks',
    options: { rank: 7, resolution: 512 },
  });
});

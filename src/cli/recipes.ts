/** Recipes on the command line: written of a run, and matched with the pictures of a folder to replay it. */
import { createHash } from 'node:crypto';
import { defined } from '../core/invariant.ts';
import { LoratoryError } from '../core/errors.ts';
import type { FileTree } from '../core/files.ts';
import type { TrainOptions } from '../core/trainOptions.ts';
import { software } from '../core/version.ts';
import type { Rgb } from '../dataset/accept.ts';
import type { Recipe, RecipeModel } from '../formats/recipe.ts';
import type { FolderImage } from './trainingFolder.ts';

/** Pictures of a recipe are not in the folder. */
export class RecipeImagesMissingError extends LoratoryError {
  readonly code = 'recipe-images-missing';

  constructor(names: readonly string[], folder: string) {
    super(
      `${names.length} ${names.length === 1 ? 'picture' : 'pictures'} of the recipe ${names.length === 1 ? 'is' : 'are'} not in ${folder}: ${names.join(', ')}.`,
      'Put the very same files there: they are known by their contents, whatever they are called.',
      { names, folder },
    );
  }
}

/**
 * The recipe's images, in its order, with its captions, crops and repeats.
 *
 * @throws {RecipeImagesMissingError}
 */
export function recipeImages(recipe: Recipe, images: readonly FolderImage[], folder: string): FolderImage[] {
  const byHash = new Map<string, FolderImage[]>();
  for (const image of images) byHash.set(image.contentHash, [...(byHash.get(image.contentHash) ?? []), image]);
  const missing: string[] = [];
  const found = recipe.images.flatMap(({ fileName, sha256, caption, repeats, crop, heldOut }): FolderImage[] => {
    const image = byHash.get(sha256)?.shift();
    if (image === undefined) {
      missing.push(fileName);
      return [];
    }
    return [{ ...image, caption, repeats, crop, heldOut }];
  });
  if (missing.length > 0) throw new RecipeImagesMissingError(missing, folder);
  return found;
}

/** What differs from the recipe and will make the result another: sentences. */
export function recipeDifferences(recipe: Recipe, model: RecipeModel, images: readonly FolderImage[]): string[] {
  const weights = Object.entries(recipe.model.weights).filter(
    ([path, hash]) => model.weights[path] !== undefined && model.weights[path] !== hash,
  );
  const maskless = recipe.images.filter(({ maskSha256 }, i) => maskSha256 !== null && !images[i]?.mask);
  return [
    ...(weights.length > 0
      ? [
          `The model is not the one of the recipe (${recipe.model.id}): ${weights.map(([path]) => path).join(', ')} differ.`,
        ]
      : []),
    ...(maskless.length > 0
      ? [`Without the mask that it had: ${maskless.map(({ fileName }) => fileName).join(', ')}.`]
      : []),
    ...(recipe.software.version !== software.version
      ? [`The recipe was made by version ${recipe.software.version}, this is ${software.version}.`]
      : []),
  ];
}

/** The model as a recipe names it: SHA-256 of the weights, read in pieces. */
export async function recipeModel(id: string, tree: FileTree): Promise<RecipeModel> {
  const weights: Record<string, string> = {};
  for (const path of tree.list()) {
    if (!/^(unet|text_encoder|vae)\/.*\.safetensors$/.test(path)) continue;
    const source = await tree.open(path);
    const hash = createHash('sha256');
    const piece = 16 * 1024 * 1024;
    for (let start = 0; start < source.size; start += piece) {
      hash.update(await source.read(start, Math.min(start + piece, source.size)));
    }
    weights[path] = hash.digest('hex');
  }
  return { id, revision: '', weights };
}

export interface RecipeFacts {
  readonly name: string;
  readonly triggerWord: string;
  readonly model: RecipeModel;
  /** What fills transparent parts; white, if not given. */
  readonly background?: Rgb;
  readonly options: TrainOptions;
  readonly images: readonly FolderImage[];
}

export function recipeOf({
  name,
  triggerWord,
  model,
  background = [255, 255, 255],
  options,
  images,
}: RecipeFacts): Recipe {
  return {
    software,
    name,
    triggerWord,
    model,
    background: `#${background.map((value) => value.toString(16).padStart(2, '0')).join('')}`,
    options,
    images: images.map(({ id, contentHash, caption, repeats = null, crop = null, heldOut = false, maskHash }) => ({
      fileName: defined(id.split('/').at(-1), 'a file name'),
      sha256: contentHash,
      caption,
      repeats,
      crop,
      heldOut,
      maskSha256: maskHash,
    })),
  };
}

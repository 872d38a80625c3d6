/** Recipes of runs, stored or about to start; and what of a recipe is here already. */
import { demoModel } from '../core/demoModel.ts';
import { LoratoryError } from '../core/errors.ts';
import { software } from '../core/version.ts';
import { contentHash } from '../dataset/accept.ts';
import { readRecipe, type Recipe, recipeFragment, type RecipeModel, writeRecipe } from '../formats/recipe.ts';
import type { DatasetStore } from '../storage/datasetStore.ts';
import type { ModelStore } from '../storage/modelStore.ts';
import type { RunStore } from '../storage/runStore.ts';
import type { DatasetImage, RecipeOffer, RecipeText, RunSource, TrainRequest } from './protocol.ts';

/** A run of an older version, which did not keep what it was asked to do. */
export class RequestNotStoredError extends LoratoryError {
  readonly code = 'request-not-stored';

  constructor(id: string) {
    super(
      'This run did not keep its images and captions: it was imported, or made by an older version.',
      'Set up the same training in the Train room, and take the recipe from there.',
      { id },
    );
  }
}

export interface RecipeParts {
  readonly models: ModelStore;
  readonly dataset: DatasetStore;
  readonly runs: RunStore;
}

/** White, where nobody chose another. */
const defaultBackground = '#ffffff';

export class Recipes {
  constructor(private readonly parts: RecipeParts) {}

  /** What a run was asked to do. Throws {@link RequestNotStoredError}. */
  async requestOf(source: RunSource): Promise<TrainRequest> {
    if ('request' in source) return source.request;
    const request = await this.parts.runs.request(source.runId);
    if (request === undefined) throw new RequestNotStoredError(source.runId);
    return { ...request, name: (await this.parts.runs.get(source.runId)).name };
  }

  async write(source: RunSource): Promise<RecipeText> {
    const recipe = await this.recipeOf(await this.requestOf(source));
    return { recipe, json: writeRecipe(recipe), fragment: recipeFragment(recipe) };
  }

  /** Throws ImageNotStoredError where an image was deleted for good. */
  async recipeOf(request: TrainRequest): Promise<Recipe> {
    const { dataset } = this.parts;
    const images = await Promise.all(
      request.images.map(async ({ id, caption, repeats = null, crop = null, heldOut = false }) => {
        const { fileName, contentHash: known, mask } = await dataset.get(id);
        return {
          fileName,
          sha256: known === '' ? await contentHash(await dataset.original(id)) : known,
          caption,
          repeats,
          crop,
          heldOut,
          maskSha256: mask === null ? null : await contentHash(mask),
        };
      }),
    );
    return {
      software,
      name: request.name,
      triggerWord: request.triggerWord,
      model: await this.modelOf(request.modelId),
      background:
        request.background === undefined || request.background === '' ? defaultBackground : request.background,
      options: request.options,
      images,
    };
  }

  /** Reads a recipe's JSON or link. Throws RecipeFormatError or PackedTextError. */
  async read(text: string): Promise<RecipeOffer> {
    const { recipe, notes } = readRecipe(text);
    const here = await this.imagesByHash();
    const used = new Set<string>();
    const images = recipe.images.map(({ sha256, maskSha256 }) => {
      const found = here.get(sha256)?.find(({ id }) => !used.has(id));
      if (found === undefined) return { id: null, lacksMask: false };
      used.add(found.id);
      return { id: found.id, lacksMask: maskSha256 !== null && found.mask === null };
    });
    return { recipe, notes, images, model: await this.modelHere(recipe.model) };
  }

  private async imagesByHash(): Promise<Map<string, DatasetImage[]>> {
    const { dataset } = this.parts;
    const byHash = new Map<string, DatasetImage[]>();
    for (const image of await dataset.list()) {
      const hash = image.contentHash === '' ? await contentHash(await dataset.original(image.id)) : image.contentHash;
      byHash.set(hash, [...(byHash.get(hash) ?? []), image]);
    }
    return byHash;
  }

  private async modelOf(id: string): Promise<RecipeModel> {
    const record = await this.parts.models.find(id);
    const weights = (record?.files ?? [])
      .filter(({ path, content }) => path.endsWith('.safetensors') && content.startsWith('sha256:'))
      .map(({ path, content }) => [path, content.slice('sha256:'.length)] as const);
    return { id, revision: record?.revision ?? '', weights: Object.fromEntries(weights) };
  }

  private async modelHere(wanted: RecipeModel): Promise<RecipeOffer['model']> {
    const here = await this.modelOf(wanted.id);
    const isHere = here.revision !== '' || wanted.id === demoModel.id;
    if (!isHere) return 'absent';
    const differs = Object.entries(wanted.weights).some(
      ([path, hash]) => here.weights[path] !== undefined && here.weights[path] !== hash,
    );
    return differs ? 'different' : 'present';
  }
}

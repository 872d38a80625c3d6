/** Runs to and from other places: recipes, kohya's configs, jobs for other machines. */
import { captionWithTrigger } from '../core/captions.ts';
import { demoModel } from '../core/demoModel.ts';
import { decodeImageFile, parseColour } from '../dataset/accept.ts';
import { cropRegion, cutOut } from '../export/cropRegion.ts';
import { type Job, jobFiles, type JobImage, safeName } from '../export/job.ts';
import { zipPieces } from '../export/zip.ts';
import { readImageSize } from '../formats/imageSize.ts';
import { readKohyaConfig } from '../formats/kohya/readConfig.ts';
import { encodePng } from '../formats/png.ts';
import { writeRecipe } from '../formats/recipe.ts';
import { blobOf } from './blobOf.ts';
import { decodeInBrowser } from './decodeImage.ts';
import type { ExportResult, RunSource, TrainRequest, TrainRequestImage } from './protocol.ts';
import { type RecipeParts, Recipes } from './recipes.ts';
import type { Handlers, RequestContext } from './server.ts';
import { optionsWithSteps } from './trainingImages.ts';

type InterchangeRequests = 'recipe.write' | 'recipe.read' | 'kohya.read' | 'kohya.export' | 'job.export';

export function interchangeHandlers(parts: RecipeParts): Pick<Handlers, InterchangeRequests> {
  const recipes = new Recipes(parts);
  return {
    'recipe.write': (source) => recipes.write(source),
    'recipe.read': ({ text }) => recipes.read(text),
    'kohya.read': async ({ files }) => readKohyaConfig(files),
    'kohya.export': (source, context) => exportJob(recipes, parts, source, context, 'settings'),
    'job.export': (source, context) => exportJob(recipes, parts, source, context, 'all'),
  };
}

async function exportJob(
  recipes: Recipes,
  parts: RecipeParts,
  source: RunSource,
  { signal, emit }: RequestContext,
  what: 'settings' | 'all',
): Promise<ExportResult> {
  const request = await recipes.requestOf(source);
  const job = await jobOf(request, recipes, parts);
  const all = jobFiles(job);
  const files = what === 'all' ? all : all.filter(({ path }) => path.endsWith('.toml') || path.endsWith('prompts.txt'));
  const total = files.reduce((sum, { size }) => sum + size, 0);
  const reported = async function* reported(): AsyncGenerator<Uint8Array> {
    let done = 0;
    for await (const piece of zipPieces(files)) {
      yield piece;
      done += piece.length;
      emit('export.progress', { done: Math.min(done, total), total });
    }
  };
  return {
    fileName: `${safeName(request.name)}-${what === 'all' ? 'job' : 'kohya'}.zip`,
    blob: await blobOf(reported(), signal),
  };
}

async function jobOf(request: TrainRequest, recipes: Recipes, { dataset }: RecipeParts): Promise<Job> {
  const recipe = await recipes.recipeOf(request);
  const images: JobImage[] = [];
  for (const image of request.images) images.push(await jobImage(image, request, dataset));
  const options = await optionsWithSteps(request, dataset);
  const isDemo = request.modelId === demoModel.id;
  return {
    name: request.name,
    triggerWord: request.triggerWord,
    modelName: isDemo ? 'models/demo' : request.modelId,
    options,
    images,
    recipe: writeRecipe(recipe),
    ...(isDemo
      ? {
          modelNote:
            'The demo model is on no Hub: copy Loratory’s `public/models/demo` into this folder as `models/demo`.',
        }
      : {}),
  };
}

/** Formats that both trainers read. */
const common: ReadonlySet<string> = new Set(['png', 'jpeg', 'webp']);

/** The original as it is; cut, filled and written anew only where the other trainers would not see the same. */
async function jobImage(
  { id, caption, repeats, crop = null, heldOut = false }: TrainRequestImage,
  { options, triggerWord, background = '' }: TrainRequest,
  dataset: RecipeParts['dataset'],
): Promise<JobImage> {
  const { fileName, hasAlpha, mask } = await dataset.get(id);
  const original = await dataset.original(id);
  const format = readImageSize(await bytesOf(original.slice(0, 64 * 1024)))?.format;
  const isAsItIs = crop === null && !hasAlpha && format !== undefined && common.has(format);
  const rendered = async (file: Blob, name: string): Promise<Uint8Array<ArrayBuffer>> => {
    const pixels = await decodeImageFile(file, name, (blob) => decodeInBrowser(blob, parseColour(background)));
    return encodePng(crop === null ? pixels : cutOut(pixels, cropRegion(pixels, options, crop)));
  };
  const stem = fileName.replace(/\.[^.]*$/, '');
  return {
    fileName: isAsItIs ? `${stem}.${format === 'jpeg' ? 'jpg' : format}` : `${stem}.png`,
    caption: captionWithTrigger(triggerWord, caption),
    repeats: repeats ?? options.repeats,
    heldOut,
    size: original.size,
    read: async () => (isAsItIs ? bytesOf(original) : rendered(original, fileName)),
    mask:
      mask === null
        ? null
        : { size: mask.size, read: async () => (crop === null ? bytesOf(mask) : rendered(mask, `${fileName}’s mask`)) },
  };
}

async function bytesOf(blob: Blob): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await blob.arrayBuffer());
}

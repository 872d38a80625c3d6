/** `loratory job`: a training prepared for another machine, as a zip. */
import { open } from 'node:fs/promises';
import { basename, extname } from 'node:path';
import { Command } from 'commander';
import { captionWithTrigger } from '../core/captions.ts';
import { demoModel } from '../core/demoModel.ts';
import { LoratoryError } from '../core/errors.ts';
import { type CountedImage, planImages, resolveTrainSteps } from '../core/epochs.ts';
import { heldOutImages } from '../core/validationSplit.ts';
import { jobFiles, type JobImage } from '../export/job.ts';
import { zipPieces } from '../export/zip.ts';
import { writeRecipe } from '../formats/recipe.ts';
import { runCommand } from './exit.ts';
import { imageSizeOf, openModel } from './openModel.ts';
import { recipeOf } from './recipes.ts';
import { type FolderImage, openTrainingFolder } from './trainingFolder.ts';
import { addSettingsFlags, readSettings, type SettingsFlags } from './trainSettings.ts';

interface JobFlags extends SettingsFlags {
  readonly images: string;
  readonly out: string;
  readonly name?: string;
}

/** Stable Diffusion 1.5's, where the model is on a Hub and nobody said a size. */
const usualSize = 512;

export function jobCommand(): Command {
  const command = new Command('job')
    .description(
      'Packs a training for another machine: images, captions, and commands for kohya’s and diffusers’ trainers.',
    )
    .requiredOption(
      '--model <name>',
      'the model as that machine names it: a Hub id, or a path there; "demo" for the small one',
    )
    .requiredOption('--images <dir>', 'folder of pictures with captions in .txt files of the same name')
    .requiredOption('--out <file>', 'the .zip file to write')
    .option('--name <name>', 'of the LoRA; as the zip, if not given');
  return addSettingsFlags(command).action((flags: JobFlags) => runCommand(() => writeJob(flags)));
}

async function writeJob(flags: JobFlags): Promise<number> {
  const say = (text: string): void => void process.stderr.write(`${text}\n`);
  const { options, triggerWord } = await readSettings(flags, await sizeOf(flags.model), say);
  const { images, refused } = await openTrainingFolder(flags.images);
  for (const error of refused) say(`Left out: ${error.message} ${error.remedy}`);
  const name = flags.name ?? basename(flags.out, extname(flags.out));
  const model = { id: flags.model, revision: '', weights: {} };
  const counted: CountedImage[] = [];
  const heldOut = heldOutImages(images, options.validation);
  for (const [i, image] of images.entries())
    if (heldOut[i] !== true) counted.push({ ...(await image.pixels()), repeats: image.repeats ?? null });
  const files = jobFiles({
    name,
    triggerWord,
    modelName: flags.model === demoModel.id ? 'models/demo' : flags.model,
    options: resolveTrainSteps(options, planImages(counted, options)),
    images: images.map((image) => jobImage(image, triggerWord, options.repeats)),
    recipe: writeRecipe(recipeOf({ name, triggerWord, model, options, images })),
    ...(flags.model === demoModel.id
      ? {
          modelNote:
            'The demo model is on no Hub: copy Loratory’s `public/models/demo` into this folder as `models/demo`.',
        }
      : {}),
  });
  const handle = await open(flags.out, 'w');
  try {
    for await (const piece of zipPieces(files)) await handle.writeFile(piece);
  } finally {
    await handle.close();
  }
  process.stdout.write(`${flags.out}: ${images.length} pictures, ${files.length} files\n`);
  return 0;
}

/** The model's own size where it is at hand. */
async function sizeOf(model: string): Promise<number> {
  try {
    return imageSizeOf(await openModel(model));
  } catch (error) {
    if (error instanceof LoratoryError) return usualSize;
    throw error;
  }
}

function jobImage(
  { id, file, caption, repeats, mask, maskFile }: FolderImage,
  triggerWord: string,
  usual: number,
): JobImage {
  const read = (blob: Blob) => async (): Promise<Uint8Array<ArrayBuffer>> => new Uint8Array(await blob.arrayBuffer());
  return {
    fileName: basename(id),
    caption: captionWithTrigger(triggerWord, caption),
    repeats: repeats ?? usual,
    heldOut: false,
    size: file.size,
    read: read(file),
    mask: mask && maskFile ? { size: maskFile.size, read: read(maskFile) } : null,
  };
}

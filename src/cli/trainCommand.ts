/** `loratory train`: a folder of pictures in, a LoRA file out. */
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, extname, join } from 'node:path';
import { Command } from 'commander';
import { toPlainError } from '../core/errors.ts';
import type { TrainOptions } from '../core/trainOptions.ts';
import { encodePng } from '../formats/png.ts';
import { readRecipe, writeRecipe } from '../formats/recipe.ts';
import { adapterFile } from '../export/runFile.ts';
import { trainingFactsOf } from '../export/trainingFacts.ts';
import { TrainControl } from '../session/control.ts';
import { cheaper, hasNoRoom } from '../session/fallback.ts';
import { trainLora, type TrainingEvents, type TrainingResult } from '../session/training.ts';
import type { Checkpoint } from '../trainer/checkpoint.ts';
import { CheckpointFolder } from './checkpointFolder.ts';
import { classImageFolder } from './classImageFolder.ts';
import { runCommand } from './exit.ts';
import { imageGrid } from './grid.ts';
import { openNodeGpu } from './nodeGpu.ts';
import { parseColour } from '../dataset/accept.ts';
import { imageSizeOf, modelHelp, modelTree, openModel } from './openModel.ts';
import { formatDuration, Progress } from './progress.ts';
import { recipeDifferences, recipeImages, recipeModel, recipeOf } from './recipes.ts';
import { openTrainingFolder } from './trainingFolder.ts';
import { addSettingsFlags, namedText, readSettings, type SettingsFlags } from './trainSettings.ts';

interface TrainFlags extends SettingsFlags {
  readonly images: string;
  readonly out: string;
  readonly recipe?: string;
  readonly saveRecipe?: string;
  readonly resume?: true;
  readonly masks: boolean;
  readonly background?: string;
  readonly classDir?: string;
  readonly samples?: string;
  readonly losses?: string;
}

export function trainCommand(): Command {
  const command = new Command('train')
    .description('Trains a LoRA on a folder of pictures; captions are read from .txt files beside them.')
    .requiredOption('--model <dir>', modelHelp)
    .requiredOption('--images <dir>', 'folder of pictures with captions in .txt files of the same name')
    .requiredOption('--out <file>', 'the .safetensors file to write')
    .option('--recipe <file>', 'replay the run of a recipe: its settings, captions and crops')
    .option('--save-recipe <file>', 'write the recipe that replays this run')
    .option('--resume', 'go on with the run that stopped before its end, from where it stood')
    .option('--no-masks', 'ignore name.mask.png files, which otherwise weigh the loss')
    .option('--background <#rrggbb>', 'what fills transparent parts of pictures; white, if not given')
    .option('--class-dir <dir>', 'folder that keeps the pictures of prior preservation for the next run')
    .option('--samples <dir>', 'folder for sample grids, one PNG a time')
    .option('--losses <file>', 'write the loss of every step as JSON');
  return addSettingsFlags(command).action((flags: TrainFlags) => runCommand(() => train(flags)));
}

async function train(flags: TrainFlags): Promise<number> {
  const model = await openModel(flags.model);
  const progress = new Progress();
  const say = (text: string): void => progress.say(text);
  const recipe = flags.recipe === undefined ? null : readRecipe((await namedText(flags.recipe)).text);
  for (const note of recipe?.notes ?? []) say(note);
  const settings = await readSettings(flags, imageSizeOf(model), say, recipe?.recipe);
  const { triggerWord } = settings;
  const startedAt = Date.now();
  const background = parseColour(flags.background ?? recipe?.recipe.background ?? '');
  const { images: found, refused, uncaptioned } = await openTrainingFolder(flags.images, background);
  for (const error of refused) say(`Left out: ${error.message} ${error.remedy}`);
  const images = recipe === null ? found : recipeImages(recipe.recipe, found, flags.images);
  const { sampleEvery, sampleEveryEpochs, maskedLoss } = settings.options;
  const asked = {
    ...settings.options,
    sampleEvery: flags.samples ? sampleEvery : 0,
    sampleEveryEpochs: flags.samples ? sampleEveryEpochs : 0,
    // Masks that lie there are meant to count.
    maskedLoss: flags.masks && (maskedLoss || (recipe === null && images.some(({ mask }) => mask))),
  };
  if (recipe === null && uncaptioned.length > 0) {
    say(
      `No caption for ${uncaptioned.join(', ')}: put the text into a .txt file of the same name. Training goes on with ${triggerWord ? 'the trigger word alone' : 'an empty caption'}.`,
    );
  }
  if (flags.samples) await mkdir(flags.samples, { recursive: true });
  await mkdir(dirname(flags.out), { recursive: true });
  const name = basename(flags.out, extname(flags.out));
  const facts = { name, triggerWord, background, options: { ...asked, sampleEvery, sampleEveryEpochs }, images };
  let saveRecipe = async (_changes: Partial<TrainOptions>): Promise<void> => {};
  if (recipe !== null || flags.saveRecipe !== undefined) {
    const used = await recipeModel(flags.model, await modelTree(flags.model));
    for (const difference of recipe === null ? [] : recipeDifferences(recipe.recipe, used, images)) say(difference);
    const file = flags.saveRecipe;
    if (file !== undefined)
      saveRecipe = async (changes) =>
        writeFile(file, writeRecipe(recipeOf({ ...facts, options: { ...facts.options, ...changes }, model: used })));
  }
  // Without the weights' hashes, which take seconds to compute.
  const ownRecipe = recipeOf({ ...facts, model: { id: flags.model, revision: '', weights: {} } });
  const folder = await CheckpointFolder.of(flags.out, ownRecipe, flags.resume === true);
  // Where the GPU has no room, they become cheaper.
  let options = { ...asked, ...folder.changes };
  await saveRecipe(folder.changes);
  const newest = async (): Promise<Checkpoint | null> => {
    const { checkpoint, damaged } = await folder.newest();
    for (const { error } of damaged) say(`${error.message} ${error.remedy}`);
    if (checkpoint) say(`Going on after step ${checkpoint.position.globalStep}.`);
    return checkpoint;
  };
  let resumeFrom = await newest();

  let gpu = await openNodeGpu();
  let control = new TrainControl();
  const onInterrupt = (): void => {
    progress.stop();
    progress.say('Stopping after the steps in progress; press Ctrl-C again to end at once.');
    if (control.stopRequested) process.exit(130);
    control.requestStop();
  };
  process.on('SIGINT', onInterrupt);
  const losses = [...(resumeFrom?.history.losses ?? [])];
  const pending: Promise<void>[] = [];
  try {
    const { adapterInfo, isSoftware } = gpu.runtime.opened;
    progress.say(
      `GPU: ${adapterInfo.description || adapterInfo.device || 'unnamed'}${isSoftware ? ' (software: slow)' : ''}`,
    );
    /** As epochs want it, where they decide, once steps are done. */
    let { maxTrainSteps } = options;
    const write = async (
      modules: Parameters<typeof adapterFile>[0],
      globalStep: number,
      file = flags.out,
    ): Promise<void> => {
      await writeFile(
        file,
        adapterFile(modules, {
          name,
          modelName: model.name,
          triggerWord,
          captions: images.map((image) => image.caption),
          startedAt,
          finishedAt: Date.now(),
          globalStep,
          ...trainingFactsOf({ ...options, maxTrainSteps }),
        }),
      );
    };
    const { everySteps, keep } = options.checkpoints;
    const stepFile = (step: number): string =>
      join(dirname(flags.out), `${name}-step${String(step).padStart(8, '0')}.safetensors`);
    const classImages = flags.classDir === undefined ? {} : { classImageStore: classImageFolder(flags.classDir) };
    let training = false;
    const events: TrainingEvents = {
      onStatus: (phase, detail) => {
        if (phase === 'preparing') progress.say(detail);
      },
      onStep: ({ globalStep, loss, msPerStep, etaSeconds, ...step }) => {
        ({ maxTrainSteps } = step);
        if (!training) {
          training = true;
          progress.start(maxTrainSteps, 'Training {bar} {value}/{total} | loss {loss} | {ms} ms/step | {left} left', {
            loss: '-',
            ms: '-',
            left: '-',
          });
        }
        // By step: a run that was rolled back repeats some.
        losses[globalStep - 1] = loss;
        progress.update(globalStep, {
          loss: loss.toFixed(4),
          ms: msPerStep.toFixed(0),
          left: formatDuration(etaSeconds),
        });
        progress.say(
          `Step ${globalStep}/${maxTrainSteps}: loss ${loss.toFixed(4)}, ${msPerStep.toFixed(0)} ms/step, ${formatDuration(etaSeconds)} left`,
        );
      },
      onValidation: ({ globalStep, loss }) =>
        progress.say(`Step ${globalStep}: loss on held-out pictures ${loss.toFixed(4)}`),
      onSample: ({ globalStep, images: drawn }) => {
        const file = join(flags.samples ?? '.', `step-${String(globalStep).padStart(6, '0')}.png`);
        const written = writeFile(file, encodePng(imageGrid(drawn.map(({ image }) => image))));
        // Heard of at the end: what fails now must not end the training.
        written.catch(() => undefined);
        pending.push(written);
      },
      onCheckpoint: async ({ modules, checkpoint }) => {
        const { globalStep } = checkpoint.position;
        await write(modules, globalStep);
        if (everySteps > 0 && globalStep > 0 && globalStep % everySteps === 0) {
          await write(modules, globalStep, stepFile(globalStep));
          if (keep > 0) await rm(stepFile(globalStep - keep * everySteps), { force: true });
        }
        await folder.keep(checkpoint);
      },
      loadCheckpoint: (globalStep) => folder.load(globalStep),
      onEvent: (_kind, _globalStep, text) => progress.say(text),
    };
    let result: TrainingResult | null = null;
    while (result === null) {
      const from = resumeFrom ? { resumeFrom } : {};
      try {
        result = await trainLora({ model, images, triggerWord, options, ...classImages, ...from }, control, events);
      } catch (error) {
        const fallback = hasNoRoom(error) ? cheaper(options) : null;
        if (!fallback || control.stopRequested) throw error;
        progress.stop();
        training = false;
        say(`${toPlainError(error).message} Going on with ${fallback.words}.`);
        await folder.fallBack(fallback.changes);
        options = { ...options, ...fallback.changes };
        await saveRecipe(folder.changes);
        // On the old device all later results are tainted.
        gpu.close();
        gpu = await openNodeGpu();
        resumeFrom = await newest();
        control = new TrainControl();
      }
    }
    await write(result.modules, result.globalStep);
    await Promise.all(pending);
    if (flags.losses) await writeFile(flags.losses, JSON.stringify(losses));
    if (!result.stopped) await folder.remove();
    progress.stop();
    process.stdout.write(
      `${flags.out}: ${result.globalStep} steps in ${formatDuration((Date.now() - startedAt) / 1000)}\n`,
    );
    return result.stopped ? 130 : 0;
  } finally {
    progress.stop();
    process.off('SIGINT', onInterrupt);
    gpu.close();
  }
}

/** `loratory train`: a folder of pictures in, a LoRA file out. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { basename, dirname, extname, join } from 'node:path';
import { Command, Option } from 'commander';
import { encodePng } from '../formats/png.ts';
import { adapterFile } from '../export/runFile.ts';
import { trainingFactsOf } from '../export/trainingFacts.ts';
import { type PresetName, presetNameFor, presets } from '../core/presets.ts';
import { readPromptLines, samplePromptsOf } from '../core/promptLines.ts';
import { readKohyaConfig } from '../formats/kohya/readConfig.ts';
import { FileNotFoundError } from './nodeFiles.ts';
import { TrainControl } from '../session/control.ts';
import { trainLora } from '../session/training.ts';
import { defaultOptimizer, optimizerDefaults, type TrainOptions } from '../core/trainOptions.ts';
import { runCommand } from './exit.ts';
import { imageGrid } from './grid.ts';
import { openNodeGpu } from './nodeGpu.ts';
import { imageSizeOf, modelHelp, openModel } from './openModel.ts';
import { repeated } from './options.ts';
import { addTrainFlags, trainOptionsOf } from './trainFlags.ts';
import { formatDuration, Progress } from './progress.ts';
import { openTrainingFolder } from './trainingFolder.ts';

const presetChoices = ['style', 'character', 'kohya', 'diffusers', 'oneTrainer'] as const;

interface TrainFlags {
  readonly model: string;
  readonly images: string;
  readonly out: string;
  readonly preset: (typeof presetChoices)[number];
  readonly config: string[];
  readonly trigger?: string;
  readonly prompt: string[];
  readonly samples?: string;
  readonly losses?: string;
}

export function trainCommand(): Command {
  const command = new Command('train')
    .description('Trains a LoRA on a folder of pictures; captions are read from .txt files beside them.')
    .requiredOption('--model <dir>', modelHelp)
    .requiredOption('--images <dir>', 'folder of pictures with captions in .txt files of the same name')
    .requiredOption('--out <file>', 'the .safetensors file to write')
    .addOption(
      new Option(
        '--preset <name>',
        'defaults for rank, alpha, steps and so on; the demo model has its own style and character',
      )
        .choices(presetChoices)
        .default('style'),
    )
    .option(
      '--config <file>',
      'a config, dataset or prompt file of kohya’s trainers in place of a preset (may be repeated)',
      repeated,
      [],
    )
    .option('--trigger <word>', 'a word put in front of every caption')
    .option(
      '--prompt <text>',
      'a prompt to draw samples of, with --n, --w, --h, --d, --l and --s as kohya has them (may be repeated)',
      repeated,
      [],
    )
    .option('--samples <dir>', 'folder for sample grids, one PNG a time')
    .option('--losses <file>', 'write the loss of every step as JSON');
  return addTrainFlags(command).action((flags: TrainFlags) => runCommand(() => train(flags)));
}

/** What the flags say, over a config file or a preset, over the defaults that suit the model and the optimizer. */
async function readOptions(
  flags: TrainFlags,
  imageSize: number,
  say: (text: string) => void,
): Promise<{ readonly options: TrainOptions; readonly triggerWord: string }> {
  const config = flags.config.length === 0 ? null : readKohyaConfig(await Promise.all(flags.config.map(namedText)));
  for (const { argument, kind, why } of config?.notes ?? []) {
    if (kind !== 'passed over') say(argument === '' ? why : `${argument}: ${why}`);
  }
  const base = config?.options ?? { ...presets[presetFor(flags)], resolution: imageSize, sampleEvery: 0 };
  const given: Readonly<Record<string, unknown>> = { ...flags };
  const { name } = trainOptionsOf(given, base).optimizer;
  const isOther = name !== base.optimizer.name;
  const options = trainOptionsOf(given, {
    ...base,
    // Rates and decays suit one optimizer only.
    ...(isOther ? { optimizer: defaultOptimizer(name) } : {}),
    ...(isOther && name !== 'adamw8bit' ? { learningRate: optimizerDefaults[name].learningRate } : {}),
  });
  const read = readPromptLines(flags.prompt.join('\n'));
  const { prompts, problems } = samplePromptsOf(read.lines, options.seed);
  for (const problem of [...read.problems, ...problems]) say(problem);
  return {
    options: {
      ...options,
      sampleEvery: flags.samples ? options.sampleEvery : 0,
      samplePrompts: flags.prompt.length > 0 ? prompts : options.samplePrompts,
    },
    triggerWord: flags.trigger ?? config?.triggerWord ?? '',
  };
}

function presetFor({ preset, model }: TrainFlags): PresetName {
  return preset === 'style' || preset === 'character' ? presetNameFor(model, preset) : preset;
}

async function namedText(path: string): Promise<{ readonly name: string; readonly text: string }> {
  try {
    return { name: basename(path), text: await readFile(path, 'utf8') };
  } catch {
    throw new FileNotFoundError(path, 'file');
  }
}

async function train(flags: TrainFlags): Promise<number> {
  const model = await openModel(flags.model);
  const progress = new Progress();
  const { options, triggerWord } = await readOptions(flags, imageSizeOf(model), (text) => progress.say(text));
  const startedAt = Date.now();
  const { images, refused, uncaptioned } = await openTrainingFolder(flags.images);
  for (const error of refused) progress.say(`Left out: ${error.message} ${error.remedy}`);
  if (uncaptioned.length > 0) {
    progress.say(
      `No caption for ${uncaptioned.join(', ')}: put the text into a .txt file of the same name. Training goes on with ${triggerWord ? 'the trigger word alone' : 'an empty caption'}.`,
    );
  }
  if (flags.samples) await mkdir(flags.samples, { recursive: true });
  await mkdir(dirname(flags.out), { recursive: true });
  const name = basename(flags.out, extname(flags.out));

  const { close, runtime } = await openNodeGpu();
  const control = new TrainControl();
  const onInterrupt = (): void => {
    progress.stop();
    progress.say('Stopping after this step; press Ctrl-C again to end at once.');
    if (control.stopRequested) process.exit(130);
    control.requestStop();
  };
  process.on('SIGINT', onInterrupt);
  const losses: number[] = [];
  const pending: Promise<void>[] = [];
  try {
    progress.say(
      `GPU: ${runtime.opened.adapterInfo.description || runtime.opened.adapterInfo.device || 'unnamed'}${runtime.opened.isSoftware ? ' (software: slow)' : ''}`,
    );
    const write = async (modules: Parameters<typeof adapterFile>[0], globalStep: number): Promise<void> => {
      await writeFile(
        flags.out,
        adapterFile(modules, {
          name,
          modelName: model.name,
          triggerWord,
          captions: images.map((image) => image.caption),
          startedAt,
          finishedAt: Date.now(),
          globalStep,
          ...trainingFactsOf(options),
        }),
      );
    };
    let training = false;
    const result = await trainLora({ model, images, triggerWord, options }, control, {
      onStatus: (phase, detail) => {
        if (phase === 'preparing') progress.say(detail);
        if (phase === 'training' && !training) {
          training = true;
          progress.start(
            options.maxTrainSteps,
            'Training {bar} {value}/{total} | loss {loss} | {ms} ms/step | {left} left',
            { loss: '-', ms: '-', left: '-' },
          );
        }
      },
      onStep: ({ globalStep, loss, msPerStep, etaSeconds }) => {
        // By step: a run that was rolled back repeats some.
        losses[globalStep - 1] = loss;
        progress.update(globalStep, {
          loss: loss.toFixed(4),
          ms: msPerStep.toFixed(0),
          left: formatDuration(etaSeconds),
        });
        progress.say(
          `Step ${globalStep}/${options.maxTrainSteps}: loss ${loss.toFixed(4)}, ${msPerStep.toFixed(0)} ms/step, ${formatDuration(etaSeconds)} left`,
        );
      },
      onSample: ({ globalStep, images: drawn }) => {
        const file = join(flags.samples ?? '.', `step-${String(globalStep).padStart(6, '0')}.png`);
        pending.push(writeFile(file, encodePng(imageGrid(drawn.map(({ image }) => image)))));
      },
      onCheckpoint: ({ modules, checkpoint }) => write(modules, checkpoint.position.globalStep),
    });
    await Promise.all(pending);
    await write(result.modules, result.globalStep);
    if (flags.losses) await writeFile(flags.losses, JSON.stringify(losses));
    progress.stop();
    process.stdout.write(
      `${flags.out}: ${result.globalStep} steps in ${formatDuration((Date.now() - startedAt) / 1000)}\n`,
    );
    return result.stopped ? 130 : 0;
  } finally {
    progress.stop();
    process.off('SIGINT', onInterrupt);
    close();
  }
}

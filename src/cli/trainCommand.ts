/** `loratory train`: a folder of pictures in, a LoRA file out. */
import { mkdir, writeFile } from 'node:fs/promises';
import { basename, dirname, extname, join } from 'node:path';
import { Command, Option } from 'commander';
import { encodePng } from '../formats/png.ts';
import { adapterFile } from '../export/runFile.ts';
import { trainingFactsOf } from '../export/trainingFacts.ts';
import { type PresetKind, presetNameFor, presets } from '../core/presets.ts';
import { TrainControl } from '../session/control.ts';
import { trainLora } from '../session/training.ts';
import { defaultTrainOptions, type TrainOptions } from '../core/trainOptions.ts';
import { runCommand } from './exit.ts';
import { imageGrid } from './grid.ts';
import { openNodeGpu } from './nodeGpu.ts';
import { imageSizeOf, modelHelp, openModel } from './openModel.ts';
import { real, repeated, whole } from './options.ts';
import { formatDuration, Progress } from './progress.ts';
import { openTrainingFolder } from './trainingFolder.ts';

interface TrainFlags {
  readonly model: string;
  readonly images: string;
  readonly out: string;
  readonly preset: PresetKind;
  readonly resolution?: number;
  readonly rank?: number;
  readonly alpha?: number;
  readonly lr?: number;
  readonly steps?: number;
  readonly batch?: number;
  readonly seed?: number;
  readonly flip?: number;
  readonly trigger: string;
  readonly prompt: string[];
  readonly sampleEvery: number;
  readonly sampleSteps: number;
  readonly sampleGuidance: number;
  readonly samples?: string;
  readonly losses?: string;
}

export function trainCommand(): Command {
  return new Command('train')
    .description('Trains a LoRA on a folder of pictures; captions are read from .txt files beside them.')
    .requiredOption('--model <dir>', modelHelp)
    .requiredOption('--images <dir>', 'folder of pictures with captions in .txt files of the same name')
    .requiredOption('--out <file>', 'the .safetensors file to write')
    .addOption(
      new Option(
        '--preset <name>',
        'defaults for rank, alpha, steps and so on; the demo model has its own of each name',
      )
        .choices(['style', 'character'])
        .default('style'),
    )
    .option('--resolution <px>', 'side of the square that pictures are cropped to; as the model, if not given', whole)
    .option('--rank <n>', 'rank of the LoRA', whole)
    .option('--alpha <n>', 'strength is alpha / rank', real)
    .option('--lr <n>', 'learning rate', real)
    .option('--steps <n>', 'training steps', whole)
    .option('--batch <n>', 'pictures a step, 1 to 8', whole)
    .option('--seed <n>', 'seed of everything that is drawn at random', whole)
    .option('--flip <p>', 'chance of mirroring a picture, 0 to 1', real)
    .option('--trigger <word>', 'a word put in front of every caption', '')
    .option('--prompt <text>', 'a prompt to draw samples of (may be repeated)', repeated, [])
    .option('--sample-every <n>', 'draw samples every so many steps; 0: never', whole, 0)
    .option('--sample-steps <n>', 'denoising steps of a sample', whole, 20)
    .option('--sample-guidance <n>', 'guidance scale of a sample', real, 7.5)
    .option('--samples <dir>', 'folder for sample grids, one PNG a time')
    .option('--losses <file>', 'write the loss of every step as JSON')
    .action((flags: TrainFlags) => runCommand(() => train(flags)));
}

async function train(flags: TrainFlags): Promise<number> {
  const model = await openModel(flags.model);
  const preset = presets[presetNameFor(flags.model, flags.preset)];
  const seed = flags.seed ?? preset.seed;
  const options: TrainOptions = {
    ...defaultTrainOptions,
    resolution: flags.resolution ?? imageSizeOf(model),
    rank: flags.rank ?? preset.rank,
    alpha: flags.alpha ?? preset.alpha,
    learningRate: flags.lr ?? preset.learningRate,
    maxTrainSteps: flags.steps ?? preset.maxTrainSteps,
    trainBatchSize: flags.batch ?? preset.trainBatchSize,
    seed,
    flipProbability: flags.flip ?? preset.flipProbability,
    sampleEvery: flags.samples ? flags.sampleEvery : 0,
    samplePrompts: flags.prompt.map((prompt, i) => ({ prompt, seed: seed + i })),
    sampleInferenceSteps: flags.sampleSteps,
    sampleGuidanceScale: flags.sampleGuidance,
  };
  const progress = new Progress();
  const startedAt = Date.now();
  const { images, refused, uncaptioned } = await openTrainingFolder(flags.images);
  for (const error of refused) progress.say(`Left out: ${error.message} ${error.remedy}`);
  if (uncaptioned.length > 0) {
    progress.say(
      `No caption for ${uncaptioned.join(', ')}: put the text into a .txt file of the same name. Training goes on with ${flags.trigger ? 'the trigger word alone' : 'an empty caption'}.`,
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
          triggerWord: flags.trigger,
          captions: images.map((image) => image.caption),
          startedAt,
          finishedAt: Date.now(),
          globalStep,
          ...trainingFactsOf(options),
        }),
      );
    };
    let training = false;
    const result = await trainLora({ model, images, triggerWord: flags.trigger, options }, control, {
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

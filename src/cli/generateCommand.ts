/** `loratory generate`: a picture from a prompt, with any number of LoRAs. */
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Command, Option } from 'commander';
import { encodePng } from '../formats/png.ts';
import { formatParameters } from '../formats/pngParameters.ts';
import type { PromptSyntax } from '../latents/embeddings.ts';
import type { NoiseDevice } from '../sampler/noise.ts';
import type { NamedScheduler } from '../schedulers/names.ts';
import { TIMESTEP_SPACINGS, type TimestepSpacing } from '../schedulers/noiseSchedule.ts';
import { ImageGenerator } from '../session/generation.ts';
import { pictureParameters } from '../session/parameters.ts';
import { runCommand } from './exit.ts';
import { openNodeGpu } from './nodeGpu.ts';
import { imageSizeOf, modelHelp, openModel } from './openModel.ts';
import { loraOption, real, repeated, whole, type LoraOption } from './options.ts';
import { Progress } from './progress.ts';
import { schedulerHelp, schedulerOption, schedulerOptionsOf } from './schedulerOptions.ts';
import { openEmbeddings, openLoras, taggedLoras } from './promptFiles.ts';

interface GenerateFlags {
  readonly model: string;
  readonly prompt: string;
  readonly negative: string;
  readonly lora: LoraOption[];
  readonly loraDir: string;
  readonly embedding: string[];
  readonly syntax: PromptSyntax;
  readonly clipSkip: number;
  readonly seed: number;
  readonly steps: number;
  readonly guidance: number;
  readonly scheduler: NamedScheduler;
  readonly spacing?: TimestepSpacing;
  readonly karras: boolean;
  readonly noise: NoiseDevice;
  readonly width?: number;
  readonly height?: number;
  readonly out: string;
}

export function generateCommand(): Command {
  return new Command('generate')
    .description('Draws a picture from a prompt.')
    .requiredOption('--model <dir>', modelHelp)
    .requiredOption('--prompt <text>', 'what to draw')
    .requiredOption('--out <png>', 'the PNG file to write')
    .option('--negative <text>', 'what to stay away from', '')
    .option(
      '--lora <file:weight>',
      'a LoRA and its weight, or FILE:UNET:TEXT for two (may be repeated)',
      loraOption,
      [],
    )
    .option('--lora-dir <dir>', 'where the LoRAs lie that the prompt names, as in <lora:style:0.8>', '.')
    .option(
      '--embedding <file>',
      'a textual-inversion embedding, by its name in the prompt (may be repeated)',
      repeated,
      [],
    )
    .addOption(
      new Option('--syntax <name>', "how to read the prompts: with A1111's weights and schedules, or all of it as text")
        .choices(['a1111', 'plain'])
        .default('a1111'),
    )
    .option('--clip-skip <n>', "1 for the text encoder's last layer, 2 for the last but one, and so on", whole, 1)
    .option('--seed <n>', 'seed of the starting noise', whole, 42)
    .option('--steps <n>', 'denoising steps', whole, 20)
    .option('--guidance <n>', 'guidance scale: how closely to follow the prompt', real, 7.5)
    .addOption(
      new Option('--scheduler <name>', `sampler: ${schedulerHelp}`)
        .argParser(schedulerOption)
        .default({ name: 'ddim', useKarrasSigmas: false }, 'ddim'),
    )
    .addOption(
      new Option('--spacing <how>', 'how timesteps are spaced; as the model and the sampler, if not given').choices(
        TIMESTEP_SPACINGS,
      ),
    )
    .option('--karras', "walk over Karras' sigmas", false)
    .addOption(
      new Option('--noise <device>', "whose random numbers: torch's on the CPU, as diffusers, or on a GPU, as A1111")
        .choices(['cpu', 'gpu'])
        .default('cpu'),
    )
    .option('--width <px>', 'width of the picture; as the model, if not given', whole)
    .option('--height <px>', 'height of the picture; as the model, if not given', whole)
    .action((flags: GenerateFlags) => runCommand(() => generate(flags)));
}

async function generate(flags: GenerateFlags): Promise<number> {
  const model = await openModel(flags.model);
  const tagged = flags.syntax === 'plain' ? [] : taggedLoras(flags.prompt, flags.loraDir);
  const loras = await openLoras([...flags.lora, ...tagged], model);
  const embeddings = await openEmbeddings(flags.embedding, model);
  const request = {
    prompt: flags.prompt,
    negativePrompt: flags.negative,
    syntax: flags.syntax,
    clipSkip: flags.clipSkip,
    seed: flags.seed,
    numInferenceSteps: flags.steps,
    guidanceScale: flags.guidance,
    width: flags.width ?? imageSizeOf(model),
    height: flags.height ?? imageSizeOf(model),
    scheduler: flags.scheduler.name,
    schedulerOptions: schedulerOptionsOf(flags),
    noiseDevice: flags.noise,
  };
  await mkdir(dirname(flags.out), { recursive: true });
  const progress = new Progress();
  const { close } = await openNodeGpu();
  try {
    const generator = new ImageGenerator(model);
    let started = false;
    const image = await generator.generate(
      { ...request, loras, embeddings },
      {
        onStatus: (detail) => progress.say(detail),
        onStep: ({ call: step, calls }) => {
          if (!started) progress.start(calls, 'Drawing {bar} {value}/{total} | {eta} s left');
          started = true;
          progress.update(step);
        },
      },
    );
    generator.dispose();
    const used = loras.flatMap(({ hash, ...lora }) => (hash === null ? [] : [{ ...lora, hash }]));
    const parameters = pictureParameters(request, { modelName: model.name, loras: used });
    await writeFile(flags.out, encodePng(image, { parameters: formatParameters(parameters) }));
    progress.stop();
    process.stdout.write(`${flags.out}\n`);
    return 0;
  } finally {
    progress.stop();
    close();
  }
}

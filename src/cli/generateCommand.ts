/** `loratory generate`: a picture from a prompt, with any number of LoRAs. */
import { mkdir, writeFile } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { Command, Option } from 'commander';
import { adapterOf } from '../export/runFile.ts';
import { encodePng } from '../formats/png.ts';
import { SCHEDULER_NAMES, type SchedulerName } from '../schedulers/index.ts';
import { ImageGenerator } from '../session/generation.ts';
import { adaptableModules } from '../session/training.ts';
import { runCommand } from './exit.ts';
import { loadLora, warnUnmatched } from './loraFiles.ts';
import { openNodeGpu } from './nodeGpu.ts';
import { imageSizeOf, modelHelp, openModel } from './openModel.ts';
import { loraOption, real, whole, type LoraOption } from './options.ts';
import { Progress } from './progress.ts';

interface GenerateFlags {
  readonly model: string;
  readonly prompt: string;
  readonly negative: string;
  readonly lora: LoraOption[];
  readonly seed: number;
  readonly steps: number;
  readonly guidance: number;
  readonly scheduler: SchedulerName;
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
    .option('--seed <n>', 'seed of the starting noise', whole, 42)
    .option('--steps <n>', 'denoising steps', whole, 20)
    .option('--guidance <n>', 'guidance scale: how closely to follow the prompt', real, 7.5)
    .addOption(new Option('--scheduler <name>', 'sampler').choices([...SCHEDULER_NAMES]).default('ddim'))
    .option('--width <px>', 'width of the picture; as the model, if not given', whole)
    .option('--height <px>', 'height of the picture; as the model, if not given', whole)
    .action((flags: GenerateFlags) => runCommand(() => generate(flags)));
}

async function generate(flags: GenerateFlags): Promise<number> {
  const model = await openModel(flags.model);
  const loras = [];
  for (const { path, ...weights } of flags.lora) {
    const lora = await loadLora(path, adaptableModules(model));
    warnUnmatched(path, lora.unmatched);
    loras.push({ adapter: adapterOf(basename(path), lora), ...weights });
  }
  await mkdir(dirname(flags.out), { recursive: true });
  const progress = new Progress();
  const { close } = await openNodeGpu();
  try {
    const generator = new ImageGenerator(model);
    let started = false;
    const image = await generator.generate(
      {
        prompt: flags.prompt,
        negativePrompt: flags.negative,
        seed: flags.seed,
        numInferenceSteps: flags.steps,
        guidanceScale: flags.guidance,
        width: flags.width ?? imageSizeOf(model),
        height: flags.height ?? imageSizeOf(model),
        scheduler: flags.scheduler,
        loras,
      },
      {
        onStatus: (detail) => progress.say(detail),
        onStep: (step) => {
          if (!started) progress.start(flags.steps, 'Drawing {bar} {value}/{total} | {eta} s left');
          started = true;
          progress.update(step);
        },
      },
    );
    generator.dispose();
    await writeFile(flags.out, encodePng(image));
    progress.stop();
    process.stdout.write(`${flags.out}\n`);
    return 0;
  } finally {
    progress.stop();
    close();
  }
}

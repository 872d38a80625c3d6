/** The options of `loratory generate`. */
import { Command, InvalidArgumentError, Option } from 'commander';
import { AXIS_KINDS, parseAxis, type AxisKind, type PlotAxis } from '../core/plot.ts';
import type { PromptSyntax } from '../latents/embeddings.ts';
import type { NoiseDevice } from '../sampler/noise.ts';
import type { NamedScheduler } from '../schedulers/names.ts';
import { TIMESTEP_SPACINGS, type TimestepSpacing } from '../schedulers/noiseSchedule.ts';
import type { HiresUpscaler, SeedMode } from '../worker/protocol.ts';
import { modelHelp } from './openModel.ts';
import { loraOption, real, repeated, whole, type LoraOption } from './options.ts';
import { schedulerHelp, schedulerOption } from './schedulerOptions.ts';

export interface GenerateFlags {
  readonly model: string;
  readonly prompt: string;
  readonly negative: string;
  readonly lora: LoraOption[];
  readonly loraDir: string;
  readonly embedding: string[];
  readonly syntax: PromptSyntax;
  readonly clipSkip: number;
  readonly seed: number;
  readonly seeds: SeedMode;
  readonly count: number;
  readonly batch: number;
  readonly steps: number;
  readonly guidance?: number;
  readonly guidanceStart: number;
  readonly guidanceEnd: number;
  readonly reuseInterval: number;
  readonly scheduler: NamedScheduler;
  readonly spacing?: TimestepSpacing;
  readonly karras: boolean;
  readonly noise: NoiseDevice;
  readonly width?: number;
  readonly height?: number;
  readonly initImage?: string;
  readonly strength: number;
  readonly resizeMode: 'crop' | 'stretch';
  readonly mask?: string;
  readonly maskBlur: number;
  readonly hires?: number;
  readonly hiresSteps: number;
  readonly hiresStrength: number;
  readonly hiresUpscaler: HiresUpscaler;
  readonly vaeTiling: boolean;
  readonly mixedPrecision: 'no' | 'fp16';
  readonly grid: boolean;
  readonly x?: PlotAxis;
  readonly y?: PlotAxis;
  readonly z?: PlotAxis;
  readonly preview?: string;
  readonly out: string;
}

const axisHelp = `KIND=VALUES, KIND one of ${AXIS_KINDS.join(', ')} (LoRA 2: lora-weight@2), VALUES such as 1,2,5 or 1-9 (+2) or 0-1 [5]`;

/** `KIND=VALUES` or `KIND@LORA=VALUES`. */
export function axisOption(text: string): PlotAxis {
  const [, name = '', which, values] = /^([a-z-]+)(?:@(\d+))?=(.*)$/s.exec(text) ?? [];
  const kind = AXIS_KINDS.find((known) => known === name);
  if (kind === undefined || values === undefined || which === '0')
    throw new InvalidArgumentError(`Wanted is ${axisHelp}.`);
  return parseAxis(kind satisfies AxisKind, values, which === undefined ? undefined : Number(which) - 1);
}

/** The command with its options; the caller gives it its action. */
export function generateOptions(): Command {
  return new Command('generate')
    .description('Draws pictures from a prompt, or from a picture and a prompt.')
    .requiredOption('--model <dir>', modelHelp)
    .requiredOption('--prompt <text>', 'what to draw')
    .requiredOption('--out <png>', 'the PNG file to write; several pictures get a number before the dot')
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
    .addOption(
      new Option(
        '--seeds <how>',
        'seeds of several pictures: one more each, or one generator a batch as diffusers has it',
      )
        .choices(['a1111', 'diffusers'])
        .default('a1111'),
    )
    .option('--count <n>', 'batches to draw, one after another', whole, 1)
    .option('--batch <n>', 'pictures to draw at once', whole, 1)
    .option('--steps <n>', 'denoising steps', whole, 20)
    .option('--guidance <n>', 'guidance scale: how closely to follow the prompt; 7.5, and 3 for the demo model', real)
    .option(
      '--guidance-start <share>',
      'faster: draw this share of the steps, 0 to 1, before guidance sets in',
      real,
      0,
    )
    .option('--guidance-end <share>', 'faster: end guidance after this share of the steps', real, 1)
    .option('--reuse-interval <n>', 'faster: run the whole UNet every so many steps only (DeepCache)', whole, 1)
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
    .option('--init-image <file>', 'a picture to begin with')
    .option('--strength <n>', 'how much of the picture is drawn again, 0 to 1', real, 0.75)
    .addOption(
      new Option('--resize-mode <how>', 'how the picture is brought to size')
        .choices(['crop', 'stretch'])
        .default('crop'),
    )
    .option('--mask <file>', 'inpainting: white is drawn again, black is kept')
    .option('--mask-blur <px>', "how far the mask's edge is blurred", real, 0)
    .option('--hires <scale>', 'hires fix: draws again at this times the size', real)
    .option('--hires-steps <n>', 'steps of the second pass; 0 for as many as the first', whole, 0)
    .option('--hires-strength <n>', 'how much of it is drawn again, 0 to 1', real, 0.7)
    .addOption(
      new Option('--hires-upscaler <name>', 'how it is enlarged').choices(['latent', 'lanczos']).default('latent'),
    )
    .option('--vae-tiling', 'decode in tiles although the whole may fit', false)
    .addOption(
      new Option('--mixed-precision <name>', 'factors of the UNet’s products in 16 bits: sooner, a little less exact')
        .choices(['no', 'fp16'])
        .default('no'),
    )
    .option('--grid', 'also write all pictures as one labelled image', false)
    .option('--x <axis>', `X/Y/Z plot, columns: ${axisHelp}`, axisOption)
    .option('--y <axis>', 'its rows', axisOption)
    .option('--z <axis>', 'its planes', axisOption)
    .option('--preview <png>', 'a file to write what is being drawn to, now and then');
}

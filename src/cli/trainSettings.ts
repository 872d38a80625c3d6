/** The settings of a training as the command line gives them: flags over a recipe, a kohya config or a preset, over the defaults. */
import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { type Command, Option } from 'commander';
import { bucketSidesFor } from '../core/buckets.ts';
import { type PresetName, presetNameFor, presets } from '../core/presets.ts';
import { readPromptLines, samplePromptsOf } from '../core/promptLines.ts';
import { textEncoderRateFor } from '../core/textEncoderRate.ts';
import { defaultOptimizer, optimizerDefaults, type TrainOptions } from '../core/trainOptions.ts';
import { readKohyaConfig } from '../formats/kohya/readConfig.ts';
import type { NamedText } from '../formats/kohya/toml.ts';
import type { Recipe } from '../formats/recipe.ts';
import { FileNotFoundError } from './nodeFiles.ts';
import { repeated } from './options.ts';
import { addTrainFlags, trainOptionsOf } from './trainFlags.ts';

/** Every model's VAE halves a picture three times at most. */
const bucketUnit = 8;

const presetChoices = ['style', 'character', 'kohya', 'diffusers', 'oneTrainer'] as const;

export interface SettingsFlags {
  readonly model: string;
  readonly preset: (typeof presetChoices)[number];
  readonly config: string[];
  readonly trigger?: string;
  readonly prompt: string[];
}

/** Adds the flags that say the settings. */
export function addSettingsFlags(command: Command): Command {
  command
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
    );
  return addTrainFlags(command);
}

export interface Settings {
  readonly options: TrainOptions;
  readonly triggerWord: string;
}

/** What the flags say, over a recipe, a config file or a preset, over the defaults that suit the model and the optimizer. */
export async function readSettings(
  flags: SettingsFlags,
  imageSize: number,
  say: (text: string) => void,
  recipe: Recipe | null = null,
): Promise<Settings> {
  const config = flags.config.length === 0 ? null : readKohyaConfig(await Promise.all(flags.config.map(namedText)));
  for (const { argument, kind, why } of config?.notes ?? []) {
    if (kind !== 'passed over') say(argument === '' ? why : `${argument}: ${why}`);
  }
  const base = recipe?.options ??
    config?.options ?? { ...presets[presetFor(flags)], resolution: imageSize, sampleEvery: 0 };
  const given: Readonly<Record<string, unknown>> = { ...flags };
  const { name } = trainOptionsOf(given, base).optimizer;
  const isOther = name !== base.optimizer.name;
  const textRate = textEncoderRateFor(name, base.textEncoder.learningRate);
  const options = trainOptionsOf(given, {
    ...base,
    // Rates and decays suit one optimizer only.
    ...(isOther ? { optimizer: defaultOptimizer(name) } : {}),
    ...(isOther && name !== 'adamw8bit' ? { learningRate: optimizerDefaults[name].learningRate } : {}),
    ...(isOther && textRate !== null ? { textEncoder: { ...base.textEncoder, learningRate: textRate } } : {}),
  });
  const sides = bucketSidesFor(options.resolution, bucketUnit);
  // Sides that nobody has given follow the resolution.
  const free = recipe === null && config === null;
  const buckets = {
    ...options.buckets,
    ...(free && given['minBucketReso'] === undefined ? { minSide: sides.minSide } : {}),
    ...(free && given['maxBucketReso'] === undefined ? { maxSide: sides.maxSide } : {}),
    ...(free && given['bucketResoSteps'] === undefined ? { step: sides.step } : {}),
  };
  const read = readPromptLines(flags.prompt.join('\n'));
  const { prompts, problems } = samplePromptsOf(read.lines, options.seed);
  for (const problem of [...read.problems, ...problems]) say(problem);
  return {
    options: { ...options, buckets, samplePrompts: flags.prompt.length > 0 ? prompts : options.samplePrompts },
    triggerWord: flags.trigger ?? recipe?.triggerWord ?? config?.triggerWord ?? '',
  };
}

function presetFor({ preset, model }: SettingsFlags): PresetName {
  return preset === 'style' || preset === 'character' ? presetNameFor(model, preset) : preset;
}

/** A text file. Throws {@link FileNotFoundError}. */
export async function namedText(path: string): Promise<NamedText> {
  try {
    return { name: basename(path), text: await readFile(path, 'utf8') };
  } catch {
    throw new FileNotFoundError(path, 'file');
  }
}

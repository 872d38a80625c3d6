/** A picture's settings as A1111 writes them into its PNG, so that it, and most other tools, can draw the picture again. */
import { settingOf, type PngParameters } from '../formats/pngParameters.ts';
import type { PromptSyntax } from '../latents/embeddings.ts';
import { extractLoraTags, type LoraTag } from '../prompts/loraTags.ts';
import type { NoiseDevice } from '../sampler/noise.ts';
import { parseSchedulerName, SCHEDULER_LABELS } from '../schedulers/names.ts';
import { TIMESTEP_SPACINGS } from '../schedulers/noiseSchedule.ts';
import type { GenerationRequest, SchedulerOptions } from './generation.ts';

export interface UsedLora {
  readonly name: string;
  readonly weight: number;
  readonly textEncoderWeight?: number;
  /** The first twelve digits of its hash: see loraShortHash. */
  readonly hash: string;
}

/** A setting of ours; other readers pass over it. */
const SPACING = 'Timestep spacing';

/** LoRAs that the prompt does not name get a tag at its end: A1111 knows no other place for them. */
export function pictureParameters(
  request: Omit<GenerationRequest, 'loras' | 'embeddings'>,
  { modelName, loras }: { readonly modelName: string; readonly loras: readonly UsedLora[] },
): PngParameters {
  const { prompt, negativePrompt, syntax = 'a1111', clipSkip = 1, schedulerOptions } = request;
  const tagged = new Set(syntax === 'plain' ? [] : extractLoraTags(prompt).loras.map(({ name }) => name));
  const tags = loras.filter(({ name }) => !tagged.has(name)).map(tagOf);
  const hashes = new Map(loras.map(({ name, hash }) => [plainName(name), hash]));
  const hasBrackets = /[([]/.test(prompt + negativePrompt);
  const settings: (readonly [string, string])[] = [
    ['Steps', String(request.numInferenceSteps)],
    ['Sampler', SCHEDULER_LABELS[request.scheduler]],
    ['Schedule type', schedulerOptions?.useKarrasSigmas ? 'Karras' : 'Automatic'],
    ['CFG scale', String(request.guidanceScale)],
    ['Seed', String(request.seed)],
    ['Size', `${request.width}x${request.height}`],
    ['Model', modelName.split('/').findLast((part) => part !== '') ?? modelName],
  ];
  if (clipSkip > 1) settings.push(['Clip skip', String(clipSkip)]);
  // A1111 says nothing of its default.
  if (request.noiseDevice !== 'gpu') settings.push(['RNG', 'CPU']);
  if (schedulerOptions?.timestepSpacing) settings.push([SPACING, schedulerOptions.timestepSpacing]);
  if (hashes.size > 0) settings.push(['Lora hashes', Array.from(hashes, (pair) => pair.join(': ')).join(', ')]);
  if (syntax === 'plain' && hasBrackets) settings.push(['Emphasis', 'None']);
  settings.push(['Version', 'Loratory']);
  return { prompt: [prompt, ...tags].join(''), negativePrompt, settings };
}

/** What a picture was drawn with, as far as its parameters say and it is known here: one to be put back into a form. */
export interface PictureSettings extends Partial<
  Pick<GenerationRequest, 'seed' | 'numInferenceSteps' | 'guidanceScale' | 'width' | 'height' | 'scheduler'>
> {
  /** Without its LoRA tags: those are `loras`. */
  readonly prompt: string;
  readonly negativePrompt: string;
  readonly loras: readonly LoraTag[];
  readonly schedulerOptions: SchedulerOptions;
  readonly clipSkip: number;
  readonly syntax: PromptSyntax;
  readonly noiseDevice: NoiseDevice;
  /** The model's name, without its owner's. */
  readonly model?: string;
}

/** Reads ours and A1111's parameters. Numbers that make no sense, and samplers that are not known here, are left out. */
export function settingsOfPicture(parameters: PngParameters): PictureSettings {
  const of = (name: string): string | undefined => settingOf(parameters, name);
  const number = (text: string | undefined): number | undefined =>
    text !== undefined && /^\d+(\.\d+)?$/.test(text.trim()) ? Number(text) : undefined;
  const [, width, height] = /^(\d+)x(\d+)$/.exec(of('Size') ?? '') ?? [];
  const isKarras = of('Schedule type') === 'Karras';
  const sampler = parseSchedulerName(`${of('Sampler') ?? ''}${isKarras ? ' Karras' : ''}`);
  const timestepSpacing = TIMESTEP_SPACINGS.find((spacing) => spacing === of(SPACING));
  const { text: prompt, loras } = extractLoraTags(parameters.prompt);
  const found = {
    numInferenceSteps: number(of('Steps')),
    guidanceScale: number(of('CFG scale')),
    seed: number(of('Seed')),
    width: number(width),
    height: number(height),
    scheduler: sampler?.name,
    model: of('Model'),
  };
  return {
    ...(Object.fromEntries(Object.entries(found).filter(([, value]) => value !== undefined)) as Defined<typeof found>),
    prompt,
    negativePrompt: parameters.negativePrompt,
    loras,
    schedulerOptions: {
      ...(sampler?.useKarrasSigmas ? { useKarrasSigmas: true } : {}),
      ...(timestepSpacing ? { timestepSpacing } : {}),
    },
    clipSkip: number(of('Clip skip')) ?? 1,
    syntax: of('Emphasis') === 'None' ? 'plain' : 'a1111',
    noiseDevice: of('RNG') === 'CPU' || parameters.settings.length === 0 ? 'cpu' : 'gpu',
  };
}

type Defined<T> = { readonly [K in keyof T]?: NonNullable<T[K]> };

function tagOf({ name, weight, textEncoderWeight = weight }: UsedLora): string {
  const weights = textEncoderWeight === weight ? [weight] : [textEncoderWeight, weight];
  return `<lora:${plainName(name)}:${weights.join(':')}>`;
}

/** Without what would end a tag, or part it and the hashes. */
function plainName(name: string): string {
  return name.replace(/[:,<>]/g, '');
}

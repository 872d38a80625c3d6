/** A picture's settings as A1111 writes them into its PNG, so that it, and most other tools, can draw the picture again. */
import { tagName } from '../core/promptEditing.ts';
import { LONGEST_REUSE, shortcutsOf } from '../core/shortcuts.ts';
import { settingOf, type PngParameters } from '../formats/pngParameters.ts';
import { extractLoraTags } from '../prompts/loraTags.ts';
import type { SchedulerName } from '../schedulers/index.ts';
import { type NamedScheduler, parseSchedulerName, SCHEDULER_LABELS } from '../schedulers/names.ts';
import { TIMESTEP_SPACINGS } from '../schedulers/noiseSchedule.ts';
import type { HiresUpscaler, PictureSettings } from '../worker/protocol.ts';
import type { GenerationRequest } from './generationRequest.ts';

export interface UsedLora {
  readonly name: string;
  readonly weight: number;
  readonly textEncoderWeight?: number;
  /** The first twelve digits of its hash: see loraShortHash. */
  readonly hash: string;
}

/** Settings of ours; other readers pass over them. */
const SPACING = 'Timestep spacing';
const GUIDANCE_END = 'Guidance end';
const REUSE_INTERVAL = 'Reuse interval';
const PROGRAM = 'Loratory';
const SEEDS = 'Seeds';
const PRECISION = 'Mixed precision';

/** A1111's name for where guidance begins: its `Ignore negative prompt during early sampling`. */
const GUIDANCE_START = 'Skip Early CFG';

/** A1111's names. */
const UPSCALERS: Readonly<Record<HiresUpscaler, string>> = { latent: 'Latent', lanczos: 'Lanczos' };

/** LoRAs that the prompt does not name get a tag at its end: A1111 knows no other place for them. */
export function pictureParameters(
  request: Omit<GenerationRequest, 'loras' | 'embeddings'>,
  {
    modelName,
    loras,
    batchPosition = 0,
  }: { readonly modelName: string; readonly loras: readonly UsedLora[]; readonly batchPosition?: number },
): PngParameters {
  const {
    prompt,
    negativePrompt,
    syntax = 'a1111',
    clipSkip = 1,
    schedulerOptions,
    init,
    hires,
    batchSize = 1,
  } = request;
  const tagged = new Set(syntax === 'plain' ? [] : extractLoraTags(prompt).loras.map(({ name }) => name));
  const tags = loras.filter(({ name }) => !tagged.has(name) && !tagged.has(tagName(name))).map(tagOf);
  const hashes = new Map(loras.map(({ name, hash }) => [tagName(name), hash]));
  const hasBrackets = /[([]/.test(prompt + negativePrompt);
  const settings: (readonly [string, string])[] = [
    ['Steps', String(request.numInferenceSteps)],
    ['Sampler', SCHEDULER_LABELS[request.scheduler]],
    ['Schedule type', scheduleType(request)],
    ['CFG scale', String(request.guidanceScale)],
    ['Seed', String(request.seed)],
    ['Size', `${request.width}x${request.height}`],
    ['Model', modelName.split('/').findLast((part) => part !== '') ?? modelName],
  ];
  if (batchSize > 1) settings.push(['Batch size', String(batchSize)], ['Batch pos', String(batchPosition)]);
  const strength = init?.strength ?? hires?.strength;
  if (strength !== undefined) settings.push(['Denoising strength', String(strength)]);
  if (init?.mask && init.maskBlur) settings.push(['Mask blur', String(init.maskBlur)]);
  if (clipSkip > 1) settings.push(['Clip skip', String(clipSkip)]);
  const { guidanceStart, guidanceEnd, reuseInterval } = shortcutsOf(request);
  if (guidanceStart > 0) settings.push([GUIDANCE_START, String(guidanceStart)]);
  if (guidanceEnd < 1) settings.push([GUIDANCE_END, String(guidanceEnd)]);
  if (reuseInterval > 1) settings.push([REUSE_INTERVAL, String(reuseInterval)]);
  // A1111 says nothing of its default.
  if (request.noiseDevice !== 'gpu') settings.push(['RNG', 'CPU']);
  if (schedulerOptions?.timestepSpacing) settings.push([SPACING, schedulerOptions.timestepSpacing]);
  if (hires) {
    settings.push(['Hires upscale', String(hires.scale)]);
    if (hires.steps > 0) settings.push(['Hires steps', String(hires.steps)]);
    settings.push(['Hires upscaler', UPSCALERS[hires.upscaler]]);
  }
  if (request.mixedPrecision === 'fp16') settings.push([PRECISION, 'fp16']);
  if (request.seedMode === 'diffusers') settings.push([SEEDS, 'diffusers']);
  if (hashes.size > 0) settings.push(['Lora hashes', Array.from(hashes, (pair) => pair.join(': ')).join(', ')]);
  if (syntax === 'plain' && hasBrackets) settings.push(['Emphasis', 'None']);
  settings.push(['Version', PROGRAM]);
  return { prompt: [prompt, ...tags].join(''), negativePrompt, settings };
}

/** Reads ours and A1111's parameters. Numbers that make no sense, and samplers that are not known here, are left out. */
export function settingsOfPicture(parameters: PngParameters): PictureSettings {
  const of = (name: string): string | undefined => settingOf(parameters, name);
  const number = (text: string | undefined): number | undefined =>
    text !== undefined && /^\d+(\.\d+)?$/.test(text.trim()) ? Number(text) : undefined;
  const [, width, height] = /^(\d+)x(\d+)$/.exec(of('Size') ?? '') ?? [];
  const share = (name: string): number | undefined => {
    const value = number(of(name));
    return value !== undefined && value <= 1 ? value : undefined;
  };
  const interval = number(of(REUSE_INTERVAL)) ?? 1;
  const sampler = samplerOf(of);
  const timestepSpacing = TIMESTEP_SPACINGS.find((spacing) => spacing === of(SPACING));
  const { text: prompt, loras: tags } = extractLoraTags(parameters.prompt);
  const hashes = loraHashes(of('Lora hashes') ?? '');
  const loras = tags.map((tag) => {
    const hash = hashes.get(tagName(tag.name));
    return hash === undefined ? tag : { ...tag, hash };
  });
  const found = {
    numInferenceSteps: number(of('Steps')),
    guidanceScale: number(of('CFG scale')),
    seed: number(of('Seed')),
    width: number(width),
    height: number(height),
    scheduler: sampler?.name,
    model: of('Model'),
    strength: number(of('Denoising strength')),
    mixedPrecision: of(PRECISION) === 'fp16' ? ('fp16' as const) : undefined,
    guidanceStart: share(GUIDANCE_START),
    guidanceEnd: share(GUIDANCE_END),
    reuseInterval: Number.isInteger(interval) && interval > 1 && interval <= LONGEST_REUSE ? interval : undefined,
  };
  const scale = number(of('Hires upscale'));
  const upscaler = of('Hires upscaler')?.startsWith('Latent') ? ('latent' as const) : ('lanczos' as const);
  const steps = number(of('Hires steps')) ?? 0;
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
    ...(scale !== undefined && scale > 1 ? { hires: { scale, steps, strength: found.strength ?? 0.7, upscaler } } : {}),
    noiseDevice: of('RNG') === 'CPU' || parameters.settings.length === 0 ? 'cpu' : 'gpu',
  };
}

/** `cat: 0123456789ab, dog: ba9876543210`, by name. */
function loraHashes(text: string): ReadonlyMap<string, string> {
  return new Map(
    text.split(',').flatMap((pair) => {
      const [, name, hash] = /^\s*(.+):\s*([0-9a-f]{8,64})\s*$/i.exec(pair) ?? [];
      return name === undefined || hash === undefined ? [] : [[name, hash.toLowerCase()] as const];
    }),
  );
}

/** To A1111 `Automatic` is what it takes for a sampler by itself: for DPM++ 2M that is Karras, and `Uniform` is what it else has. */
function scheduleType({
  scheduler,
  schedulerOptions,
}: Pick<GenerationRequest, 'scheduler' | 'schedulerOptions'>): string {
  if (schedulerOptions?.useKarrasSigmas) return 'Karras';
  return automaticallyKarras.has(scheduler) ? 'Uniform' : 'Automatic';
}

const automaticallyKarras: ReadonlySet<SchedulerName> = new Set<SchedulerName>(['dpmpp_2m']);

/** Texts that say nothing of the schedule are older than A1111 1.9, which then said `Karras` with the sampler. */
function samplerOf(of: (name: string) => string | undefined): NamedScheduler | null {
  const [name, type] = [of('Sampler') ?? '', of('Schedule type')];
  const named = parseSchedulerName(name);
  // Our own pictures of before said `Automatic` of what has no Karras sigmas.
  const isAutomatic = type === 'Automatic' && named !== null && of('Version') !== PROGRAM;
  const isKarras = type === 'Karras' || (isAutomatic && automaticallyKarras.has(named.name));
  return isKarras && named?.useKarrasSigmas !== true ? parseSchedulerName(`${name} Karras`) : named;
}

type Defined<T> = { readonly [K in keyof T]?: NonNullable<T[K]> };

function tagOf({ name, weight, textEncoderWeight = weight }: UsedLora): string {
  const weights = textEncoderWeight === weight ? [weight] : [textEncoderWeight, weight];
  return `<lora:${tagName(name)}:${weights.join(':')}>`;
}

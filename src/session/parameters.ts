/** A picture's settings as A1111 writes them into its PNG, so that it, and most other tools, can draw the picture again. */
import type { PngParameters } from '../formats/pngParameters.ts';
import { extractLoraTags } from '../prompts/loraTags.ts';
import { SCHEDULER_LABELS } from '../schedulers/names.ts';
import type { GenerationRequest } from './generation.ts';

export interface UsedLora {
  readonly name: string;
  readonly weight: number;
  readonly textEncoderWeight?: number;
  /** The first twelve digits of its hash: see loraShortHash. */
  readonly hash: string;
}

/** LoRAs that the prompt does not name get a tag at its end: A1111 knows no other place for them. */
export function pictureParameters(
  request: Omit<GenerationRequest, 'loras' | 'embeddings'>,
  { modelName, loras }: { readonly modelName: string; readonly loras: readonly UsedLora[] },
): PngParameters {
  const { prompt, negativePrompt, syntax, clipSkip = 1 } = request;
  const tagged = new Set(extractLoraTags(prompt).loras.map(({ name }) => name));
  const tags = loras.filter(({ name }) => !tagged.has(name)).map(tagOf);
  const hashes = new Map(loras.map(({ name, hash }) => [plainName(name), hash]));
  const hasBrackets = /[([]/.test(prompt + negativePrompt);
  const settings: (readonly [string, string])[] = [
    ['Steps', String(request.numInferenceSteps)],
    ['Sampler', SCHEDULER_LABELS[request.scheduler]],
    ['Schedule type', request.schedulerOptions?.useKarrasSigmas ? 'Karras' : 'Automatic'],
    ['CFG scale', String(request.guidanceScale)],
    ['Seed', String(request.seed)],
    ['Size', `${request.width}x${request.height}`],
    ['Model', modelName.split('/').findLast((part) => part !== '') ?? modelName],
  ];
  if (clipSkip > 1) settings.push(['Clip skip', String(clipSkip)]);
  // A1111 says nothing of its default.
  if (request.noiseDevice !== 'gpu') settings.push(['RNG', 'CPU']);
  if (hashes.size > 0) settings.push(['Lora hashes', Array.from(hashes, (pair) => pair.join(': ')).join(', ')]);
  if (syntax === 'plain' && hasBrackets) settings.push(['Emphasis', 'None']);
  settings.push(['Version', 'Loratory']);
  return { prompt: [prompt, ...tags].join(''), negativePrompt, settings };
}

function tagOf({ name, weight, textEncoderWeight = weight }: UsedLora): string {
  const weights = textEncoderWeight === weight ? [weight] : [textEncoderWeight, weight];
  return `<lora:${plainName(name)}:${weights.join(':')}>`;
}

/** Without what would end a tag, or part it and the hashes. */
function plainName(name: string): string {
  return name.replace(/[:,<>]/g, '');
}

/** Reading options from outside: records of older versions, recipes, anything that was JSON. */
import { defaultTrainOptions, type SamplePrompt, type TrainOptions } from './trainOptions.ts';
import { isOfKind, optionAt, type TrainOptionPath, trainOptionRules } from './trainOptionRules.ts';

/**
 * Options from any JSON value: what is there and of the right kind is taken, the rest is filled from `defaults`, what is unknown
 * is dropped. It never throws and checks no bounds: see checkTrainOptions.
 */
export function completeTrainOptions(json: unknown, defaults: TrainOptions = defaultTrainOptions): TrainOptions {
  const completed = structuredClone(defaults) as unknown as Record<string, unknown>;
  for (const path of Object.keys(trainOptionRules) as TrainOptionPath[]) {
    const value = optionAt(json, path);
    if (isOfKind(value, trainOptionRules[path])) assign(completed, path, value);
  }
  const rates = optionAt(json, 'blockLearningRates');
  if (isRecord(rates))
    completed['blockLearningRates'] = Object.fromEntries(Object.entries(rates).filter(([, n]) => isNumber(n)));
  const timesteps = optionAt(json, 'validation.timesteps');
  if (Array.isArray(timesteps)) assign(completed, 'validation.timesteps', timesteps.filter(isNumber));
  const prompts = optionAt(json, 'samplePrompts');
  if (Array.isArray(prompts)) completed['samplePrompts'] = prompts.flatMap(samplePromptOf);
  return completed as unknown as TrainOptions;
}

/** None if it has no prompt; a missing seed is 0. */
function samplePromptOf(json: unknown): SamplePrompt[] {
  if (!isRecord(json) || typeof json['prompt'] !== 'string') return [];
  const { prompt, seed, negativePrompt } = json;
  const numbers = ['width', 'height', 'numInferenceSteps', 'guidanceScale'] as const;
  return [
    {
      prompt,
      seed: isNumber(seed) ? seed : 0,
      ...(typeof negativePrompt === 'string' ? { negativePrompt } : {}),
      ...Object.fromEntries(numbers.flatMap((name) => (isNumber(json[name]) ? [[name, json[name]]] : []))),
    },
  ];
}

/** Sets the value at a path that exists in `target`. */
function assign(target: Record<string, unknown>, path: string, value: unknown): void {
  const [first = '', second] = path.split('.');
  if (second === undefined) target[first] = value;
  else (target[first] as Record<string, unknown>)[second] = value;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isNumber(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value);
}

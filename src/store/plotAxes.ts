/** The axes of an X/Y/Z plot: what each kind of axis changes in a request, and the values that were typed for it. */
import { parseAxisNumbers, parseAxisTexts } from '../core/axisValues.ts';
import { LoratoryError } from '../core/errors.ts';
import type { GenerateRequest, PluggedLora, SchedulerName } from '../worker/protocol.ts';
import { canUseKarras, generateRules, schedulerLabels } from './generateForm.ts';
import type { ModelSizes } from './modelDefaults.ts';
import { explainNumber } from './trainForm.ts';

export type AxisKind =
  | 'none'
  | 'loraWeight'
  | 'trainingStep'
  | 'seed'
  | 'guidanceScale'
  | 'steps'
  | 'scheduler'
  | 'prompt'
  | 'strength'
  | 'clipSkip';

export const axisLabels: Readonly<Record<AxisKind, string>> = {
  none: 'Nothing',
  loraWeight: 'LoRA weight',
  trainingStep: 'Training step',
  seed: 'Seed',
  guidanceScale: 'Guidance scale',
  steps: 'Steps',
  scheduler: 'Scheduler',
  prompt: 'Prompt: search and replace',
  strength: 'Strength',
  clipSkip: 'CLIP skip',
};

export const axisHints: Readonly<Record<AxisKind, string>> = {
  none: '',
  loraWeight: '0, 0.5, 1 or 0-1 [5]',
  trainingStep: '100, 200, 300 or 100-600 (+100)',
  seed: '1, 2, 3 or 1-4',
  guidanceScale: '3, 7, 12',
  steps: '10, 20, 40',
  scheduler: 'DDIM, Euler a, DPM++ 2M Karras',
  prompt: 'cat, dog, "a red fox"',
  strength: '0.3, 0.6, 0.9',
  clipSkip: '1, 2',
};

/** An axis as it stands in the form. */
export interface AxisForm {
  readonly kind: AxisKind;
  readonly values: string;
  /** Of LoRA weight and training step: which LoRA of the request, by its place. */
  readonly loraIndex: number;
}

export interface AxisValue {
  readonly label: string;
  readonly apply: (request: GenerateRequest) => GenerateRequest;
}

/** The axis cannot be walked: says why. */
export class AxisError extends LoratoryError {
  readonly code = 'plot-axis';
}

const plainLabel = (text: string): string => text.toLowerCase().replaceAll(/[^a-z0-9+]/g, '');

function schedulerNamed(text: string): { scheduler: SchedulerName; karras: boolean } {
  const plain = plainLabel(text);
  const karras = plain.endsWith('karras');
  const base = plain.replace(/karras$/, '');
  const names = Object.keys(schedulerLabels) as SchedulerName[];
  const scheduler = names.find((name) => [plainLabel(name), plainLabel(schedulerLabels[name])].includes(base));
  if (scheduler === undefined || (karras && !canUseKarras(scheduler)))
    throw new AxisError(
      `“${text}” is no scheduler${karras ? ' with Karras’ noise levels' : ''}.`,
      `Take some of these: ${Object.values(schedulerLabels).join(', ')}.`,
    );
  return { scheduler, karras };
}

function changeLora(request: GenerateRequest, index: number, values: Partial<PluggedLora>): GenerateRequest {
  return { ...request, loras: request.loras.map((lora, i) => (i === index ? { ...lora, ...values } : lora)) };
}

/** Numbers within what the form's field of that name takes. */
function numbersFor(
  text: string,
  field: 'seed' | 'guidanceScale' | 'steps' | 'strength' | 'clipSkip',
  sizes: ModelSizes,
): number[] {
  const rule = generateRules(sizes)[field];
  return parseAxisNumbers(text).map((value) => {
    const problem = explainNumber(String(value), rule);
    if (problem !== null) throw new AxisError(problem, 'Change the values of the axis.');
    return value;
  });
}

/**
 * What each value of the axis makes of a request; one value that changes nothing for an axis of nothing.
 *
 * @throws {AxisError | AxisValuesError} where a value cannot stand there.
 */
export function axisValues(axis: AxisForm, request: GenerateRequest, sizes: ModelSizes): readonly AxisValue[] {
  const { kind, values: text, loraIndex } = axis;
  const lora = request.loras[loraIndex];
  switch (kind) {
    case 'none':
      return [{ label: '', apply: (one) => one }];
    case 'loraWeight':
      if (lora === undefined) throw new AxisError('There is no LoRA on the shelf.', 'Put one there first.');
      return parseAxisNumbers(text).map((weight) => ({
        label: String(weight),
        apply: (one) => changeLora(one, loraIndex, { weight, enabled: true }),
      }));
    case 'trainingStep': {
      const source = lora?.source;
      if (source?.kind !== 'run')
        throw new AxisError('This LoRA is no run of yours, so it has no training steps.', 'Choose one of your runs.');
      return parseAxisNumbers(text).map((globalStep) => ({
        label: String(globalStep),
        apply: (one) => changeLora(one, loraIndex, { source: { ...source, globalStep }, enabled: true }),
      }));
    }
    case 'seed':
      return numbersFor(text, kind, sizes).map((seed) => ({ label: String(seed), apply: (one) => ({ ...one, seed }) }));
    case 'guidanceScale':
      return numbersFor(text, kind, sizes).map((guidanceScale) => ({
        label: String(guidanceScale),
        apply: (one) => ({ ...one, guidanceScale }),
      }));
    case 'steps':
      return numbersFor(text, kind, sizes).map((numInferenceSteps) => ({
        label: String(numInferenceSteps),
        apply: (one) => ({ ...one, numInferenceSteps }),
      }));
    case 'clipSkip':
      return numbersFor(text, kind, sizes).map((clipSkip) => ({
        label: String(clipSkip),
        apply: (one) => ({ ...one, clipSkip }),
      }));
    case 'strength':
      if (request.initImage === undefined && request.hires === undefined)
        throw new AxisError('Strength needs a picture to begin with, or hires fix.', 'Choose one of them first.');
      return numbersFor(text, kind, sizes).map((strength) => ({
        label: String(strength),
        apply: (one) => ({
          ...one,
          ...(one.initImage ? { initImage: { ...one.initImage, strength } } : {}),
          ...(one.hires ? { hires: { ...one.hires, strength } } : {}),
        }),
      }));
    case 'scheduler':
      return schedulerValues(text);
    case 'prompt':
      return promptValues(text, request);
  }
}

function schedulerValues(text: string): AxisValue[] {
  const names = parseAxisTexts(text);
  if (names.length === 0) throw new AxisError('No scheduler is named.', `Write some, e.g. ${axisHints.scheduler}.`);
  return names.map((name) => {
    const { scheduler, karras } = schedulerNamed(name);
    return {
      label: `${schedulerLabels[scheduler]}${karras ? ' Karras' : ''}`,
      apply: ({ schedulerOptions, ...one }) => {
        const spacing = schedulerOptions?.timestepSpacing;
        const options = {
          ...(spacing === undefined ? {} : { timestepSpacing: spacing }),
          ...(karras ? { useKarrasSigmas: true } : {}),
        };
        return { ...one, scheduler, ...(Object.keys(options).length > 0 ? { schedulerOptions: options } : {}) };
      },
    };
  });
}

function promptValues(text: string, { prompt, negativePrompt }: GenerateRequest): AxisValue[] {
  const [searched, ...others] = parseAxisTexts(text);
  if (searched === undefined)
    throw new AxisError('No words are given.', 'Write a part of the prompt first, then what to put in its place.');
  if (!prompt.includes(searched) && !negativePrompt.includes(searched))
    throw new AxisError(`The prompt does not hold “${searched}”.`, 'Write a part of the prompt as the first value.');
  return [searched, ...others].map((words) => ({
    label: words,
    apply: (one) => ({
      ...one,
      prompt: one.prompt.replaceAll(searched, words),
      negativePrompt: one.negativePrompt.replaceAll(searched, words),
    }),
  }));
}

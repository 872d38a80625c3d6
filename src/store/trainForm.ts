/**
 * The Train panel's form: a text for every option, and its validation into {@link TrainOptions}.
 * Fields are kept as text so that a half-typed number can stand there while it is explained what is wrong with it.
 */
import { bucketSidesFor } from '../core/buckets.ts';
import { checkTrainOptions } from '../core/checkTrainOptions.ts';
import {
  isOfKind,
  keepsRule,
  optionAt,
  type OptionRule,
  type TrainOptionPath,
  trainOptionRules,
} from '../core/trainOptionRules.ts';
import { defaultLrScheduler } from '../core/learningRate.ts';
import {
  defaultOptimizer,
  defaultTrainOptions,
  type LrSchedulerName,
  optimizerDefaults,
  type OptimizerName,
  type SamplePrompt,
  type TrainOptions,
} from '../core/trainOptions.ts';
import { textEncoderRateFor } from '../core/textEncoderRate.ts';
import { completeTrainOptions } from '../core/trainOptionsJson.ts';
import { type PresetName, presets } from '../core/presets.ts';

/** Every option that has a field of its own. Flags are `true` or `false`, nothing (null) is the empty text. */
export type TrainField = TrainOptionPath | 'blockLearningRates' | 'validation.timesteps';

export type TrainForm = Readonly<Record<TrainField, string>>;

const paths = Object.keys(trainOptionRules) as TrainOptionPath[];

export const trainFields: readonly TrainField[] = [...paths, 'blockLearningRates', 'validation.timesteps'];

/** Chances and shares that people think of in percent. */
const percentFields: ReadonlySet<TrainField> = new Set(['flipProbability', 'captionDropout', 'validation.split']);

export function isPercent(field: TrainField): boolean {
  return percentFields.has(field);
}

/** Numbers as they are typed: small ones with an exponent, the rest in full. */
function numberText(value: number): string {
  return value !== 0 && Math.abs(value) < 1e-3 ? value.toExponential() : String(value);
}

function fieldText(field: TrainField, value: unknown): string {
  if (value === null || value === undefined) return '';
  if (field === 'blockLearningRates') {
    return Object.entries(value)
      .map(([block, factor]) => `${block}=${factor}`)
      .join(', ');
  }
  if (Array.isArray(value)) return value.join(', ');
  if (typeof value === 'string' || typeof value === 'boolean') return String(value);
  if (typeof value !== 'number') return JSON.stringify(value);
  return isPercent(field) ? String(Number((value * 100).toPrecision(12))) : numberText(value);
}

/** Options as the form's texts. Sample prompts are edited apart. */
export function formOf(options: TrainOptions): TrainForm {
  return Object.fromEntries(
    trainFields.map((field) => [field, fieldText(field, optionAt(options, field))]),
  ) as TrainForm;
}

/** A preset as the form's texts. */
export function presetTexts(name: PresetName): TrainForm {
  return formOf(presets[name]);
}

export const initialTrainForm: TrainForm = presetTexts('style');

/** What another preset leaves alone: the model decides the size, and how a run is watched changes nothing that it learns. */
const asideFromLearning: ReadonlySet<TrainField> = new Set([
  'resolution',
  'sampleEvery',
  'sampleEveryEpochs',
  'sampleInferenceSteps',
  'sampleGuidanceScale',
  'sampleNegativePrompt',
]);

/** What choosing a preset changes: what is learnt, how often to look, and how closely the samples follow their prompts. */
export function presetPart(form: TrainForm): Partial<TrainForm> {
  const looks: readonly TrainField[] = ['sampleEvery', 'sampleGuidanceScale'];
  const fields = trainFields.filter((field) => looks.includes(field) || !asideFromLearning.has(field));
  return Object.fromEntries(fields.map((field) => [field, form[field]]));
}

/** Buckets' sides are multiples of at least this: every model's VAE halves a picture three times at most. */
const bucketUnit = 8;

/**
 * What else changes with a field: buckets fit the resolution; another optimizer brings its own numbers, and its own rate where the former one's stood there;
 * another schedule its own cycles.
 */
export function consequences(form: TrainForm, field: TrainField, text: string): Partial<TrainForm> {
  if (field === 'optimizer.name' && text in optimizerDefaults) {
    const fresh = formOf({ ...defaultTrainOptions, optimizer: defaultOptimizer(text as OptimizerName) });
    const numbers = Object.fromEntries(
      trainFields.filter((each) => each.startsWith('optimizer.')).map((each) => [each, fresh[each]]),
    );
    const former = optimizerDefaults[form['optimizer.name'] as OptimizerName];
    const hadItsRate = Number(form.learningRate) === former.learningRate;
    const learningRate = numberText(optimizerDefaults[text as OptimizerName].learningRate);
    const textRate = textEncoderRateFor(text as OptimizerName, Number(form['textEncoder.learningRate']));
    return {
      ...numbers,
      ...(hadItsRate ? { learningRate } : {}),
      ...(textRate === null ? {} : { 'textEncoder.learningRate': numberText(textRate) }),
    };
  }
  if (field === 'buckets.enabled' && text === 'true') {
    const [resolution, least, most, step] = (
      ['resolution', 'buckets.minSide', 'buckets.maxSide', 'buckets.step'] as const
    ).map((each) => Number(form[each])) as [number, number, number, number];
    // Sides that were meant for another resolution would leave one bucket, or none.
    const areRight = least < resolution && most > resolution && resolution % step === 0 && 4 * step <= resolution;
    const sides = bucketSidesFor(resolution, bucketUnit);
    return areRight || !Number.isInteger(resolution) || resolution < bucketUnit
      ? {}
      : {
          'buckets.minSide': String(sides.minSide),
          'buckets.maxSide': String(sides.maxSide),
          'buckets.step': String(sides.step),
        };
  }
  if (field === 'lrScheduler.name') {
    return { 'lrScheduler.cycles': String(defaultLrScheduler(text as LrSchedulerName).cycles) };
  }
  return {};
}

/** `1e-3` is `0.001`: what stands in a field, whichever way it is written. */
function sameText(a: string, b: string): boolean {
  if (a === b) return true;
  return a.trim() !== '' && b.trim() !== '' && Number(a) === Number(b);
}

/** The fields in which two forms differ. */
export function changedFields(form: TrainForm, base: TrainForm): TrainField[] {
  return trainFields.filter((field) => !sameText(form[field], base[field]));
}

/** The fields in which two forms differ as far as what is learnt goes. */
export function learningChanges(form: TrainForm, base: TrainForm): TrainField[] {
  return changedFields(form, base).filter((field) => !asideFromLearning.has(field));
}

/** The preset whose values all stand in the form, or null if they were changed. How often to look changes nothing learnt. */
export function matchingPreset(form: TrainForm, candidates: readonly PresetName[]): PresetName | null {
  return candidates.find((name) => learningChanges(form, presetTexts(name)).length === 0) ?? null;
}

export interface Rule {
  readonly label: string;
  readonly min: number;
  readonly max: number;
  readonly integer?: boolean;
  /** Beside whole numbers a share below 1. */
  readonly orShare?: boolean;
  readonly multipleOf?: number;
  /** The bounds themselves are not allowed. */
  readonly aboveMin?: boolean;
  readonly belowMax?: boolean;
  /** Said after a broken rule, where the bounds alone do not explain themselves. */
  readonly because?: string;
}

/** Trained at: whole blocks, up to half as much again as the model knows. */
export function resolutionRule(imageSize: number): Rule {
  const block = 64;
  return {
    label: 'Resolution',
    min: block,
    max: Math.max(block, Math.floor((1.5 * imageSize) / block) * block),
    integer: true,
    multipleOf: block,
    because: `The model works in blocks of ${block} pixels.`,
  };
}

/** Said after the bounds of an option that do not explain themselves. */
const reasons: Partial<Record<TrainField, string>> = {
  sampleEvery: '0 means never.',
  sampleEveryEpochs: '0 means never.',
  maxGradNorm: '0 means no limit.',
  'validation.everySteps': '0 means never.',
  'checkpoints.everySteps': '0 means that only the latest state is kept.',
  'checkpoints.keep': '0 means all.',
  clipSkip: '1 is the last layer.',
};

function ruleOf(field: TrainOptionPath, rule: OptionRule & { readonly kind: 'number' }): Rule {
  const scale = isPercent(field) ? 100 : 1;
  const because = reasons[field];
  return {
    label: rule.label,
    min: rule.min * scale,
    max: rule.max * scale,
    integer: rule.whole,
    orShare: rule.orShare ?? false,
    aboveMin: rule.aboveMin ?? false,
    belowMax: rule.belowMax ?? false,
    ...(because === undefined ? {} : { because }),
  };
}

/** What may stand in a field that takes a number; null for the others. */
export function ruleOfField(field: TrainField, imageSize = 512): Rule | null {
  if (field === 'resolution') return resolutionRule(imageSize);
  const rule = field in trainOptionRules ? trainOptionRules[field as TrainOptionPath] : undefined;
  return rule?.kind === 'number' ? ruleOf(field as TrainOptionPath, rule) : null;
}

export function labelOf(field: TrainField): string {
  if (field === 'blockLearningRates') return 'Block learning rates';
  if (field === 'validation.timesteps') return 'Validation timesteps';
  return trainOptionRules[field].label;
}

/** Why `text` cannot stand under `rule`, in a sentence; null if it can. */
export function explainNumber(text: string, rule: Rule): string | null {
  const value = Number(text);
  const because = rule.because === undefined ? '' : ` ${rule.because}`;
  if (text.trim() === '' || !Number.isFinite(value)) return `${rule.label} needs a number.`;
  const isShare = rule.orShare === true && value > 0 && value < 1;
  if (rule.integer === true && !Number.isInteger(value) && !isShare)
    return `${rule.label} needs a whole number${rule.orShare === true ? ', or a share below 1' : ''}.`;
  if (rule.min === rule.max && value !== rule.min) return `${rule.label} must be ${rule.min}.`;
  const [{ min, max }, { aboveMin = false, belowMax = false }] = [rule, rule];
  const tooLow = aboveMin ? value <= min : value < min;
  const tooHigh = belowMax ? value >= max : value > max;
  if ((tooLow || tooHigh) && (aboveMin || belowMax)) {
    const low = aboveMin ? `above ${min}` : `at least ${min}`;
    const high = belowMax ? `below ${max}` : `at most ${max}`;
    return `${rule.label} must be ${low} and ${high}.${because}`;
  }
  if (tooLow || tooHigh) return `${rule.label} goes from ${min} to ${max}.${because}`;
  if (rule.multipleOf !== undefined && value % rule.multipleOf !== 0) {
    return `${rule.label} must be a multiple of ${rule.multipleOf}.${because}`;
  }
  return null;
}

export type TrainFormErrors = { readonly [F in TrainField | 'samplePrompts']?: string };

/** What the form is checked against. */
export interface TrainFormContext {
  /** The model's own, in pixels. */
  readonly imageSize: number;
  /** Sides must be multiples of so many pixels. */
  readonly sizeUnit?: number;
  readonly imageCount?: number;
  readonly halfPrecision?: boolean;
}

/** `mid_block=0.5, up_blocks.1=2`, or why it is not. */
function readRates(text: string): Record<string, number> | string {
  const rates: Record<string, number> = {};
  for (const part of text.split(/[,\n]/).map((entry) => entry.trim())) {
    if (part === '') continue;
    const [, block = '', factor = ''] = /^([\w.]+)\s*[=:]\s*(\S+)$/.exec(part) ?? [];
    if (block === '' || !Number.isFinite(Number(factor)))
      return `“${part}” is no block with a factor: write, for instance, mid_block=0.5, up_blocks.1=2.`;
    rates[block] = Number(factor);
  }
  return rates;
}

function readTimesteps(text: string): number[] | string {
  const steps = text
    .split(/[\s,]+/)
    .filter(Boolean)
    .map(Number);
  const areRight = steps.length > 0 && steps.every((step) => Number.isInteger(step) && step >= 0 && step < 1000);
  return areRight ? steps : 'Validation timesteps are whole numbers from 0 to 999, with commas between them.';
}

/** A field's text as its option's value, or what is wrong with it. */
function readField(
  field: TrainField,
  text: string,
  imageSize: number,
): { readonly value: unknown } | { readonly error: string } {
  if (field === 'blockLearningRates' || field === 'validation.timesteps') {
    const value = field === 'blockLearningRates' ? readRates(text) : readTimesteps(text);
    return typeof value === 'string' ? { error: value } : { value };
  }
  const rule = trainOptionRules[field];
  if (rule.kind === 'text') return { value: text };
  if (rule.kind === 'flag') return { value: text === 'true' };
  if (text.trim() === '' && rule.whenNull !== undefined) return { value: null };
  if (rule.kind === 'choice') {
    return isOfKind(text, rule)
      ? { value: text }
      : { error: `Choose one of the values for ${rule.label.toLowerCase()}.` };
  }
  const error = explainNumber(text, ruleOfField(field, imageSize) ?? ruleOf(field, rule));
  if (error !== null) return { error };
  const value = isPercent(field) ? Number(text) / 100 : Number(text);
  return keepsRule(value, rule) ? { value } : { error: `${rule.label} cannot be ${text}.` };
}

/** The form as options, or what is wrong, field by field. `prompts` without text are left out. */
export function readTrainForm(
  form: TrainForm,
  prompts: readonly SamplePrompt[],
  context: TrainFormContext = { imageSize: 512 },
): { readonly options: TrainOptions | null; readonly errors: TrainFormErrors } {
  const errors: { [F in TrainField | 'samplePrompts']?: string } = {};
  const values: Record<string, unknown> = {};
  for (const field of trainFields) {
    const read = readField(field, form[field], context.imageSize);
    if ('error' in read) errors[field] = read.error;
    else setAt(values, field, read.value);
  }
  if (Object.keys(errors).length > 0) return { options: null, errors };
  const options: TrainOptions = {
    ...completeTrainOptions(values),
    samplePrompts: prompts.filter(({ prompt }) => prompt.trim() !== ''),
  };
  for (const { option, message, remedy } of checkTrainOptions(options, context)) {
    const field = option.startsWith('samplePrompts') ? 'samplePrompts' : (option as TrainField);
    errors[field] ??= `${message} ${remedy.endsWith('start again.') ? '' : remedy}`.trim();
  }
  return Object.keys(errors).length > 0 ? { options: null, errors } : { options, errors };
}

function setAt(target: Record<string, unknown>, path: string, value: unknown): void {
  const [first = '', second] = path.split('.');
  if (second === undefined) target[first] = value;
  else target[first] = { ...(target[first] as object | undefined), [second]: value };
}

/** The options that a form stands for as far as it can be read: fields that are wrong count as in `base`. For pictures and hints. */
export function readableOptions(form: TrainForm, imageSize: number, base = defaultTrainOptions): TrainOptions {
  const values: Record<string, unknown> = {};
  for (const field of trainFields) {
    const read = readField(field, form[field], imageSize);
    if ('value' in read) setAt(values, field, read.value);
  }
  return completeTrainOptions(values, base);
}

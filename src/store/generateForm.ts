/** The Try room's form: text as typed, its validation, and the request that it stands for. */
import { LONGEST_REUSE, shortcutsOf, usesShortcuts } from '../core/shortcuts.ts';
import type { GenerateRequest, HiresUpscaler, SchedulerName, TimestepSpacing } from '../worker/protocol.ts';
import type { ModelSizes } from './modelDefaults.ts';
import { explainNumber, type Rule } from './trainForm.ts';

/** Kept as text, so that a half-typed number can stand there. A switch is `on` or empty. */
export interface GenerateForm {
  readonly prompt: string;
  readonly negativePrompt: string;
  readonly seed: string;
  /** `random`: every press of Generate draws a new one. */
  readonly seedRule: 'fixed' | 'random';
  readonly steps: string;
  readonly guidanceScale: string;
  readonly width: string;
  readonly height: string;
  readonly scheduler: SchedulerName;
  readonly karras: 'on' | '';
  /** Empty: as the model has it. */
  readonly timestepSpacing: TimestepSpacing | '';
  /** Shares of the steps, 0..1, between which there is guidance. */
  readonly guidanceStart: string;
  readonly guidanceEnd: string;
  readonly reuseInterval: string;
  readonly mixedPrecision: 'no' | 'fp16';
  readonly clipSkip: string;
  readonly noiseDevice: 'cpu' | 'gpu';
  readonly syntax: 'a1111' | 'plain';
  readonly batchSize: string;
  readonly batchCount: string;
  readonly preview: 'on' | '';
  /** Of image to image. */
  readonly strength: string;
  readonly resizeMode: 'crop' | 'stretch';
  readonly maskBlur: string;
  readonly hires: 'on' | '';
  readonly hiresScale: string;
  readonly hiresSteps: string;
  readonly hiresStrength: string;
  readonly hiresUpscaler: HiresUpscaler;
}

export type GenerateNumberField =
  | 'seed'
  | 'steps'
  | 'guidanceScale'
  | 'width'
  | 'height'
  | 'guidanceStart'
  | 'guidanceEnd'
  | 'reuseInterval'
  | 'clipSkip'
  | 'batchSize'
  | 'batchCount'
  | 'strength'
  | 'maskBlur'
  | 'hiresScale'
  | 'hiresSteps'
  | 'hiresStrength';

export const initialGenerateForm: GenerateForm = {
  prompt: '',
  negativePrompt: '',
  seed: '42',
  seedRule: 'fixed',
  steps: '25',
  guidanceScale: '7.5',
  width: '512',
  height: '512',
  scheduler: 'ddim',
  karras: '',
  timestepSpacing: '',
  guidanceStart: '0',
  guidanceEnd: '1',
  reuseInterval: '1',
  mixedPrecision: 'no',
  clipSkip: '1',
  noiseDevice: 'cpu',
  syntax: 'a1111',
  batchSize: '1',
  batchCount: '1',
  preview: 'on',
  strength: '0.6',
  resizeMode: 'crop',
  maskBlur: '4',
  hires: '',
  hiresScale: '2',
  hiresSteps: '0',
  hiresStrength: '0.6',
  hiresUpscaler: 'latent',
};

/** Drawn at: up to twice what the model knows, along each side. */
function sideRule(label: string, { imageSize, sizeUnit }: ModelSizes): Rule {
  const because = `The model draws in blocks of ${sizeUnit} pixels.`;
  return { label, min: Math.min(64, imageSize), max: 2 * imageSize, integer: true, multipleOf: sizeUnit, because };
}

const fixedRules = {
  seed: { label: 'Seed', min: 0, max: 4_294_967_295, integer: true },
  steps: { label: 'Steps', min: 1, max: 200, integer: true },
  guidanceScale: { label: 'Guidance scale', min: 1, max: 30 },
  guidanceStart: { label: 'Guidance from', min: 0, max: 1 },
  guidanceEnd: { label: 'Guidance to', min: 0, max: 1 },
  reuseInterval: { label: 'Whole UNet every', min: 1, max: LONGEST_REUSE, integer: true },
  clipSkip: { label: 'CLIP skip', min: 1, max: 12, integer: true },
  batchSize: { label: 'At once', min: 1, max: 8, integer: true },
  batchCount: { label: 'Batches', min: 1, max: 100, integer: true },
  strength: { label: 'Strength', min: 0, max: 1 },
  maskBlur: { label: 'Mask blur', min: 0, max: 64, integer: true },
  hiresScale: { label: 'Enlarge by', min: 1.05, max: 4 },
  hiresSteps: { label: 'Hires steps', min: 0, max: 200, integer: true },
  hiresStrength: { label: 'Hires strength', min: 0, max: 1 },
} as const satisfies Partial<Record<GenerateNumberField, Rule>>;

/** What may stand in the fields, for a model of these sizes. */
export function generateRules(sizes: ModelSizes): Readonly<Record<GenerateNumberField, Rule>> {
  return { ...fixedRules, width: sideRule('Width', sizes), height: sideRule('Height', sizes) };
}

export type GenerateFormErrors = { readonly [F in GenerateNumberField]?: string };

/** Fields that count only while their part of the form is in use. */
const hiresFields: readonly GenerateNumberField[] = ['hiresScale', 'hiresSteps', 'hiresStrength'];

/** What is wrong with the numbers, field by field; empty if nothing is. */
export function generateFormErrors(form: GenerateForm, sizes: ModelSizes): GenerateFormErrors {
  const errors: { [F in GenerateNumberField]?: string } = {};
  for (const [field, rule] of Object.entries(generateRules(sizes)) as [GenerateNumberField, Rule][]) {
    if (form.hires === '' && hiresFields.includes(field)) continue;
    const error = explainNumber(form[field], rule);
    if (error !== null) errors[field] = error;
  }
  if (errors.guidanceStart === undefined && Number(form.guidanceStart) > Number(form.guidanceEnd))
    errors.guidanceStart = 'Guidance cannot begin after it ends.';
  return errors;
}

/** How the schedulers are called in the form, in the order in which they are listed. */
export const schedulerLabels: Readonly<Record<SchedulerName, string>> = {
  ddim: 'DDIM',
  euler: 'Euler',
  euler_a: 'Euler a',
  dpmpp_2m: 'DPM++ 2M',
  unipc: 'UniPC',
  heun: 'Heun',
  pndm: 'PLMS (PNDM)',
  lcm: 'LCM',
};

/** Those that can walk over Karras' noise levels. */
const withKarras: readonly SchedulerName[] = ['euler', 'dpmpp_2m', 'unipc', 'heun'];

export function canUseKarras(scheduler: SchedulerName): boolean {
  return withKarras.includes(scheduler);
}

/** The part of a request that the form alone decides. The form must have no errors. */
export function formRequest(form: GenerateForm): Omit<GenerateRequest, 'modelId' | 'loras'> {
  const { timestepSpacing: spacing, scheduler } = form;
  const karras = form.karras === 'on' && canUseKarras(scheduler);
  const shortcuts = {
    guidanceStart: Number(form.guidanceStart),
    guidanceEnd: Number(form.guidanceEnd),
    reuseInterval: Number(form.reuseInterval),
  };
  return {
    prompt: form.prompt,
    negativePrompt: form.negativePrompt,
    seed: Number(form.seed),
    numInferenceSteps: Number(form.steps),
    guidanceScale: Number(form.guidanceScale),
    ...(usesShortcuts(shortcuts) ? shortcuts : {}),
    ...(form.mixedPrecision === 'fp16' ? { mixedPrecision: 'fp16' as const } : {}),
    width: Number(form.width),
    height: Number(form.height),
    scheduler,
    ...(karras || spacing !== ''
      ? {
          schedulerOptions: {
            ...(karras ? { useKarrasSigmas: true } : {}),
            ...(spacing === '' ? {} : { timestepSpacing: spacing }),
          },
        }
      : {}),
    noiseDevice: form.noiseDevice,
    syntax: form.syntax,
    clipSkip: Number(form.clipSkip),
    batchSize: Number(form.batchSize),
    batchCount: Number(form.batchCount),
    preview: form.preview === 'on' ? 'auto' : 'none',
    ...(form.hires === 'on'
      ? {
          hires: {
            scale: Number(form.hiresScale),
            steps: Number(form.hiresSteps),
            strength: Number(form.hiresStrength),
            upscaler: form.hiresUpscaler,
          },
        }
      : {}),
  };
}

/** A request's settings as the form's texts: {@link formRequest} backwards. What it does not say has its default. */
export function formValues(request: Partial<Omit<GenerateRequest, 'loras' | 'initImage'>>): Partial<GenerateForm> {
  const { hires, schedulerOptions } = request;
  const { guidanceStart, guidanceEnd, reuseInterval } = shortcutsOf(request);
  const text = (value: number | undefined): string | undefined => (value === undefined ? undefined : String(value));
  const values: { readonly [F in keyof GenerateForm]?: GenerateForm[F] | undefined } = {
    prompt: request.prompt,
    negativePrompt: request.negativePrompt,
    seed: text(request.seed),
    steps: text(request.numInferenceSteps),
    guidanceScale: text(request.guidanceScale),
    width: text(request.width),
    height: text(request.height),
    scheduler: request.scheduler,
    karras: schedulerOptions?.useKarrasSigmas === true ? 'on' : '',
    timestepSpacing: schedulerOptions?.timestepSpacing ?? '',
    guidanceStart: String(guidanceStart),
    guidanceEnd: String(guidanceEnd),
    reuseInterval: String(reuseInterval),
    mixedPrecision: request.mixedPrecision ?? 'no',
    clipSkip: String(request.clipSkip ?? 1),
    noiseDevice: request.noiseDevice ?? 'cpu',
    syntax: request.syntax ?? 'a1111',
    hires: hires === undefined ? '' : 'on',
    hiresScale: text(hires?.scale),
    hiresSteps: text(hires?.steps),
    hiresStrength: text(hires?.strength),
    hiresUpscaler: hires?.upscaler,
  };
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));
}

export interface SizePreset {
  readonly label: string;
  readonly width: number;
  readonly height: number;
}

/** Sizes of about the area, or somewhat more, that the model knows: its own square, and the proportions of prints and screens. */
export function sizePresets({ imageSize, sizeUnit }: ModelSizes): readonly SizePreset[] {
  const toUnit = (value: number): number => Math.round(value / sizeUnit) * sizeUnit;
  return [
    { label: '1:1', width: imageSize, height: imageSize },
    { label: '2:3', width: imageSize, height: toUnit(imageSize * 1.5) },
    { label: '3:2', width: toUnit(imageSize * 1.5), height: imageSize },
    { label: '9:16', width: imageSize, height: toUnit((imageSize * 16) / 9) },
    { label: '16:9', width: toUnit((imageSize * 16) / 9), height: imageSize },
  ];
}

/** The Try panel's form and its validation. */
import type { SchedulerName } from '../worker/protocol.ts';
import type { ModelSizes } from './modelDefaults.ts';
import { explainNumber, type Rule } from './trainForm.ts';

export interface GenerateForm {
  readonly prompt: string;
  readonly negativePrompt: string;
  readonly seed: string;
  readonly steps: string;
  readonly guidanceScale: string;
  readonly width: string;
  readonly height: string;
  readonly scheduler: SchedulerName;
}

export type GenerateNumberField = 'seed' | 'steps' | 'guidanceScale' | 'width' | 'height';

export const initialGenerateForm: GenerateForm = {
  prompt: '',
  negativePrompt: '',
  seed: '42',
  steps: '25',
  guidanceScale: '7.5',
  width: '512',
  height: '512',
  scheduler: 'ddim',
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
} as const;

/** What may stand in the fields, for a model of these sizes. */
export function generateRules(sizes: ModelSizes): Readonly<Record<GenerateNumberField, Rule>> {
  return { ...fixedRules, width: sideRule('Width', sizes), height: sideRule('Height', sizes) };
}

export type GenerateFormErrors = { readonly [F in GenerateNumberField]?: string };

/** What is wrong with the numbers, field by field; empty if nothing is. */
export function generateFormErrors(form: GenerateForm, sizes: ModelSizes): GenerateFormErrors {
  const errors: { [F in GenerateNumberField]?: string } = {};
  for (const [field, rule] of Object.entries(generateRules(sizes)) as [GenerateNumberField, Rule][]) {
    const error = explainNumber(form[field], rule);
    if (error !== null) errors[field] = error;
  }
  return errors;
}

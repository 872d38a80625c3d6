/** The Try panel's form and its validation. */
import type { SchedulerName } from '../worker/protocol.ts';
import { explainNumber } from './trainForm.ts';

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

const side = { min: 64, max: 1024, integer: true, multipleOf: 8, because: 'The model draws in blocks of 8 pixels.' };

export const generateRules = {
  seed: { label: 'Seed', min: 0, max: 4_294_967_295, integer: true },
  steps: { label: 'Steps', min: 1, max: 200, integer: true },
  guidanceScale: { label: 'Guidance scale', min: 1, max: 30 },
  width: { label: 'Width', ...side },
  height: { label: 'Height', ...side },
} as const;

export type GenerateFormErrors = { readonly [F in GenerateNumberField]?: string };

/** What is wrong with the numbers, field by field; empty if nothing is. */
export function generateFormErrors(form: GenerateForm): GenerateFormErrors {
  const errors: { [F in GenerateNumberField]?: string } = {};
  for (const field of Object.keys(generateRules) as GenerateNumberField[]) {
    const error = explainNumber(form[field], generateRules[field]);
    if (error !== null) errors[field] = error;
  }
  return errors;
}

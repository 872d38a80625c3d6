/**
 * The Train panel's form: text as typed, presets, and its validation into {@link TrainOptions}.
 * Fields are kept as text so that a half-typed number can stand there while it is explained what is wrong with it.
 */
import { type PresetName, presets } from '../core/presets.ts';
import { defaultTrainOptions, type SamplePrompt, type TrainOptions } from '../core/trainOptions.ts';

export interface TrainForm {
  readonly resolution: string;
  readonly rank: string;
  readonly alpha: string;
  readonly learningRate: string;
  readonly maxTrainSteps: string;
  readonly trainBatchSize: string;
  readonly seed: string;
  /** Percent. */
  readonly flipPercent: string;
  readonly sampleEvery: string;
  readonly sampleInferenceSteps: string;
  readonly sampleGuidanceScale: string;
}

export type TrainField = keyof TrainForm;

/** A recipe's numbers as the form's texts. */
export function presetTexts(name: PresetName): Partial<TrainForm> {
  const { learningRate, flipProbability, ...numbers } = presets[name];
  const texts = Object.entries(numbers).map(([field, value]) => [field, String(value)]);
  return {
    ...(Object.fromEntries(texts) as Partial<TrainForm>),
    learningRate: learningRate.toExponential(),
    flipPercent: String(flipProbability * 100),
  };
}

export const initialTrainForm: TrainForm = {
  resolution: '512',
  rank: '4',
  alpha: '4',
  learningRate: '1e-4',
  maxTrainSteps: '600',
  trainBatchSize: '2',
  seed: '42',
  flipPercent: '50',
  sampleEvery: '100',
  sampleInferenceSteps: '20',
  sampleGuidanceScale: '7.5',
};

/** The preset whose values all stand in the form, or null if they were changed. How often to look changes nothing learnt. */
export function matchingPreset(form: TrainForm, candidates: readonly PresetName[]): PresetName | null {
  const matches = (name: PresetName): boolean =>
    Object.entries(presetTexts(name)).every(
      ([field, value]) => field === 'sampleEvery' || form[field as TrainField] === value,
    );
  return candidates.find(matches) ?? null;
}

export interface Rule {
  readonly label: string;
  readonly min: number;
  readonly max: number;
  readonly integer?: boolean;
  readonly multipleOf?: number;
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

/** For a model whose own size is not known; {@link readTrainForm} takes it into account. */
export const trainRules: Readonly<Record<TrainField, Rule>> = {
  resolution: resolutionRule(512),
  rank: { label: 'Rank', min: 1, max: 128, integer: true },
  alpha: { label: 'Alpha', min: 0.001, max: 1024 },
  learningRate: {
    label: 'Learning rate',
    min: 1e-7,
    max: 0.01,
    because: 'Higher ones tear the model apart, lower ones teach it nothing.',
  },
  maxTrainSteps: { label: 'Steps', min: 1, max: 100_000, integer: true },
  trainBatchSize: { label: 'Batch size', min: 1, max: 8, integer: true },
  seed: { label: 'Seed', min: 0, max: 4_294_967_295, integer: true },
  flipPercent: { label: 'Flip', min: 0, max: 100 },
  sampleEvery: { label: 'Sample every', min: 0, max: 100_000, integer: true, because: '0 means never.' },
  sampleInferenceSteps: { label: 'Sample steps', min: 1, max: 200, integer: true },
  sampleGuidanceScale: { label: 'Guidance scale', min: 1, max: 30 },
};

/** Why `text` cannot stand under `rule`, in a sentence; null if it can. */
export function explainNumber(text: string, rule: Rule): string | null {
  const value = Number(text);
  const because = rule.because === undefined ? '' : ` ${rule.because}`;
  if (text.trim() === '' || !Number.isFinite(value)) return `${rule.label} needs a number.`;
  if (rule.integer === true && !Number.isInteger(value)) return `${rule.label} needs a whole number.`;
  if (rule.min === rule.max && value !== rule.min) return `${rule.label} must be ${rule.min}.`;
  if (value < rule.min || value > rule.max) return `${rule.label} goes from ${rule.min} to ${rule.max}.${because}`;
  if (rule.multipleOf !== undefined && value % rule.multipleOf !== 0) {
    return `${rule.label} must be a multiple of ${rule.multipleOf}.${because}`;
  }
  return null;
}

export type TrainFormErrors = { readonly [F in TrainField]?: string };

/** The form as options, or what is wrong, field by field. `prompts` without text are left out; `imageSize` is the model's own. */
export function readTrainForm(
  form: TrainForm,
  prompts: readonly SamplePrompt[],
  imageSize = 512,
): { readonly options: TrainOptions | null; readonly errors: TrainFormErrors } {
  const errors: { [F in TrainField]?: string } = {};
  for (const field of Object.keys(trainRules) as TrainField[]) {
    const rule = field === 'resolution' ? resolutionRule(imageSize) : trainRules[field];
    const error = explainNumber(form[field], rule);
    if (error !== null) errors[field] = error;
  }
  if (Object.keys(errors).length > 0) return { options: null, errors };
  const options: TrainOptions = {
    ...defaultTrainOptions,
    resolution: Number(form.resolution),
    rank: Number(form.rank),
    alpha: Number(form.alpha),
    learningRate: Number(form.learningRate),
    maxTrainSteps: Number(form.maxTrainSteps),
    trainBatchSize: Number(form.trainBatchSize),
    seed: Number(form.seed),
    flipProbability: Number(form.flipPercent) / 100,
    sampleEvery: Number(form.sampleEvery),
    samplePrompts: prompts.filter(({ prompt }) => prompt.trim() !== ''),
    sampleInferenceSteps: Number(form.sampleInferenceSteps),
    sampleGuidanceScale: Number(form.sampleGuidanceScale),
  };
  return { options, errors };
}

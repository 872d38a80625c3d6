/** What a branch is asked: where it begins, how long it goes on, at which rate. Text as typed, as in trainForm.ts. */
import type { BranchRequest, CheckpointInfo, StoredRun } from '../worker/protocol.ts';
import { explainNumber, type Rule } from './trainForm.ts';

export interface BranchForm {
  readonly name: string;
  /** Of a checkpoint. */
  readonly globalStep: string;
  readonly learningRate: string;
  readonly maxTrainSteps: string;
}

export type BranchErrors = { readonly [F in 'name' | 'learningRate' | 'maxTrainSteps']?: string };

/** The form to begin with: the newest checkpoint, half the rate, as many steps as the run has or half as many again. */
export function initialBranchForm(
  { name, options }: Pick<StoredRun, 'name' | 'options'>,
  checkpoints: readonly CheckpointInfo[],
): BranchForm {
  const globalStep = checkpoints.at(-1)?.globalStep ?? 0;
  const isAtEnd = globalStep >= options.maxTrainSteps;
  return {
    name: `${name} branch`,
    globalStep: String(globalStep),
    learningRate: Number((options.learningRate / 2).toPrecision(3)).toExponential(),
    maxTrainSteps: String(isAtEnd ? Math.ceil(options.maxTrainSteps * 1.5) : options.maxTrainSteps),
  };
}

/** The form as a request, or what is wrong with it. */
export function readBranchForm(
  form: BranchForm,
  run: Pick<StoredRun, 'id' | 'options'>,
): { readonly request: BranchRequest | null; readonly errors: BranchErrors } {
  const globalStep = Number(form.globalStep);
  const rate: Rule = { label: 'Learning rate', min: 1e-8, max: 10 };
  const steps: Rule = { label: 'Steps', min: globalStep + 1, max: 1_000_000, integer: true };
  const learningRate = explainNumber(form.learningRate, rate);
  const maxTrainSteps = explainNumber(form.maxTrainSteps, steps);
  const errors: BranchErrors = {
    ...(form.name.trim() === '' ? { name: 'Give the branch a name.' } : {}),
    ...(learningRate === null ? {} : { learningRate }),
    ...(maxTrainSteps === null ? {} : { maxTrainSteps }),
  };
  if (Object.keys(errors).length > 0) return { request: null, errors };
  const options = {
    ...run.options,
    learningRate: Number(form.learningRate),
    maxTrainSteps: Number(form.maxTrainSteps),
    maxTrainEpochs: null,
  };
  return { request: { runId: run.id, globalStep, name: form.name.trim(), options }, errors };
}

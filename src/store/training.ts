/** The Train panel's settings. What they ask for is in trainRequest.ts, the run that goes on in liveRun.ts. */
import { completeTrainOptions } from '../core/trainOptionsJson.ts';
import type { SamplePrompt } from '../worker/protocol.ts';
import { recall, recallForm, remember } from './persisted.ts';
import type { SliceContext } from './slice.ts';
import { consequences, initialTrainForm, type TrainField, type TrainForm } from './trainForm.ts';

export interface TrainingSlice {
  readonly trainForm: TrainForm;
  /** What the person wrote; null means the suggested prompts. */
  readonly editedPrompts: readonly SamplePrompt[] | null;
  /** What the person wrote; null means the suggested name. */
  readonly editedRunName: string | null;
  readonly trainFieldEdited: (field: TrainField, text: string) => void;
  /** Several fields at once: a preset, an imported config, a recipe. */
  readonly trainFormEdited: (values: Partial<TrainForm>) => void;
  readonly samplePromptsEdited: (prompts: readonly SamplePrompt[] | null) => void;
  readonly runNameEdited: (name: string | null) => void;
}

/** The prompts that were edited at an earlier visit; null if there are none, or they cannot be read. */
function recallPrompts(): SamplePrompt[] | null {
  try {
    const stored = JSON.parse(recall('samplePrompts') ?? 'null') as unknown;
    return Array.isArray(stored) ? [...completeTrainOptions({ samplePrompts: stored }).samplePrompts] : null;
  } catch {
    return null;
  }
}

export function createTrainingSlice(context: SliceContext): TrainingSlice {
  const { set, get } = context;

  const editForm = (values: Partial<TrainForm>): void => {
    const trainForm = { ...get().trainForm, ...values };
    remember('trainForm', JSON.stringify(trainForm));
    set({ trainForm });
  };

  return {
    trainForm: recallForm('trainForm', initialTrainForm),
    editedPrompts: recallPrompts(),
    editedRunName: null,
    trainFieldEdited: (field, text) => editForm({ ...consequences(get().trainForm, field, text), [field]: text }),
    trainFormEdited: editForm,
    samplePromptsEdited: (editedPrompts) => {
      remember('samplePrompts', editedPrompts === null ? null : JSON.stringify(editedPrompts));
      set({ editedPrompts });
    },
    runNameEdited: (editedRunName) => set({ editedRunName }),
  };
}

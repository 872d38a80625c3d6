/** The Train panel: its settings, the run in progress and what it says every step. */
import { type PlainError, toPlainError } from '../core/errors.ts';
import { isAborted } from '../worker/client.ts';
import type { SamplePrompt, TrainStatus, TrainStep } from '../worker/protocol.ts';
import { suggestSamplePrompts } from './caption.ts';
import { createFrameBatcher } from './frameBatcher.ts';
import { sizesInUse } from './modelDefaults.ts';
import { recall, recallForm, remember } from './persisted.ts';
import { withSampleRow } from './runs.ts';
import { reportError, type SliceContext, type StudioState } from './slice.ts';
import {
  consequences,
  initialTrainForm,
  readTrainForm,
  type TrainField,
  type TrainForm,
  type TrainFormContext,
} from './trainForm.ts';

export type TrainCommand = 'pause' | 'resume' | 'stop' | 'sampleNow';

export interface TrainingSlice {
  readonly trainForm: TrainForm;
  /** What the person wrote; null means the suggested prompts. */
  readonly editedPrompts: readonly SamplePrompt[] | null;
  /** What the person wrote; null means the suggested name. */
  readonly editedRunName: string | null;
  /** A run is going on (paused counts). */
  readonly isTraining: boolean;
  /** The run of this visit: going on, or just over. */
  readonly liveRunId: string | null;
  readonly trainStatus: TrainStatus | null;
  /** At most one new one each frame. */
  readonly latestStep: TrainStep | null;
  /** The newest step of which pictures were made. */
  readonly latestStrip: Pick<TrainStep, 'globalStep' | 'strip'> | null;
  /** Losses of the live run; the wrapper changes with every frame, the array inside only grows. */
  readonly liveLosses: { readonly values: readonly number[] };
  readonly trainError: PlainError | null;
  /** The command that the worker has not answered yet. */
  readonly trainCommand: TrainCommand | null;
  readonly trainFieldEdited: (field: TrainField, text: string) => void;
  /** Several fields at once: a preset, an imported config, a recipe. */
  readonly trainFormEdited: (values: Partial<TrainForm>) => void;
  readonly samplePromptsEdited: (prompts: readonly SamplePrompt[] | null) => void;
  readonly runNameEdited: (name: string | null) => void;
  readonly trainPressed: () => Promise<void>;
  readonly trainCommandPressed: (command: TrainCommand) => Promise<void>;
}

/** The prompts in force: edited ones, or suggestions from trigger word and captions. */
export function samplePromptsOf(state: StudioState): readonly SamplePrompt[] {
  if (state.editedPrompts !== null) return state.editedPrompts;
  const seed = Number(state.trainForm.seed);
  const captions = state.images.map(({ caption }) => caption);
  return suggestSamplePrompts(state.triggerWord, captions, Number.isInteger(seed) && seed >= 0 ? seed : 42);
}

/** What the form is checked against: the model in use and the number of images. */
export function trainFormContext(state: Pick<StudioState, 'models' | 'selectedModelId' | 'images'>): TrainFormContext {
  return { ...sizesInUse(state), imageCount: state.images.length };
}

/** The name in force: the edited one, or the trigger word with a number that no run has yet. */
export function runNameOf(state: Pick<StudioState, 'editedRunName' | 'triggerWord' | 'runs'>): string {
  if (state.editedRunName !== null) return state.editedRunName;
  const base = state.triggerWord.trim() === '' ? 'My LoRA' : state.triggerWord.trim();
  const taken = new Set(state.runs.map(({ name }) => name));
  let name = base;
  for (let n = 2; taken.has(name); n++) name = `${base} ${n}`;
  return name;
}

/** What still stands between the person and Start, one sentence each; empty if nothing does. */
export function trainObstacles(state: StudioState): string[] {
  const obstacles: string[] = [];
  if (state.gpu.status === 'unavailable') obstacles.push('Training needs a browser with WebGPU.');
  if (state.selectedModelId === null) obstacles.push('Choose a model first.');
  if (state.adding !== null || state.sampleSetLoading !== null) obstacles.push('The images are still being read.');
  else if (state.images.length === 0) obstacles.push('Add at least one image.');
  if (runNameOf(state).trim() === '') obstacles.push('Give the run a name.');
  const { options } = readTrainForm(state.trainForm, samplePromptsOf(state), trainFormContext(state));
  if (options === null) obstacles.push('Correct the settings marked in red.');
  return obstacles;
}

/** The prompts that were edited at an earlier visit; null if there are none, or they cannot be read. */
function recallPrompts(): SamplePrompt[] | null {
  try {
    const stored = JSON.parse(recall('samplePrompts') ?? 'null') as unknown;
    if (!Array.isArray(stored)) return null;
    return (stored as Partial<SamplePrompt>[]).map(({ prompt, seed }) => ({
      prompt: prompt ?? '',
      seed: Number.isInteger(seed) ? Number(seed) : 42,
    }));
  } catch {
    return null;
  }
}

export function createTrainingSlice(context: SliceContext): TrainingSlice {
  const { client, set, get } = context;

  const batcher = createFrameBatcher<TrainStep>((steps) => {
    const latest = steps.at(-1);
    if (latest === undefined) return;
    const values = get().liveLosses.values as number[];
    // By step, not by arrival: a resumed run may repeat the steps after its last checkpoint.
    for (const { globalStep, loss } of steps) values[globalStep - 1] = loss;
    const strip = steps.findLast((step) => step.strip.length > 0);
    set({ latestStep: latest, liveLosses: { values }, liveRunId: latest.runId });
    if (strip !== undefined) set({ latestStrip: strip });
  });
  client.on('train.step', (step) => batcher.push(step));
  client.on('train.status', (status) => {
    batcher.flush();
    const changed = get().trainStatus?.phase !== status.phase;
    set({ trainStatus: status, liveRunId: status.runId });
    if (changed && status.phase === 'training') void get().runsRefreshed();
  });
  client.on('train.sample', (row) => {
    set((state) => ({
      samplesByRun: { ...state.samplesByRun, [row.runId]: withSampleRow(state.samplesByRun[row.runId] ?? [], row) },
    }));
  });

  const editForm = (values: Partial<TrainForm>): void => {
    const trainForm = { ...get().trainForm, ...values };
    remember('trainForm', JSON.stringify(trainForm));
    set({ trainForm });
  };

  return {
    trainForm: recallForm('trainForm', initialTrainForm),
    editedPrompts: recallPrompts(),
    editedRunName: null,
    isTraining: false,
    liveRunId: null,
    trainStatus: null,
    latestStep: null,
    latestStrip: null,
    liveLosses: { values: [] },
    trainError: null,
    trainCommand: null,
    trainFieldEdited: (field, text) => editForm({ ...consequences(get().trainForm, field, text), [field]: text }),
    trainFormEdited: editForm,
    samplePromptsEdited: (editedPrompts) => {
      remember('samplePrompts', editedPrompts === null ? null : JSON.stringify(editedPrompts));
      set({ editedPrompts });
    },
    runNameEdited: (editedRunName) => set({ editedRunName }),
    trainPressed: async () => {
      const state = get();
      const { options } = readTrainForm(state.trainForm, samplePromptsOf(state), trainFormContext(state));
      if (state.isTraining || state.selectedModelId === null || options === null || trainObstacles(state).length > 0)
        return;
      set({
        isTraining: true,
        liveRunId: null,
        trainStatus: null,
        latestStep: null,
        latestStrip: null,
        liveLosses: { values: [] },
        trainError: null,
        trainCommand: null,
      });
      try {
        const run = await client.request('train.start', {
          modelId: state.selectedModelId,
          name: runNameOf(state).trim(),
          triggerWord: state.triggerWord.trim(),
          images: state.images.map(({ id, caption, repeats, crop, heldOut }) => ({
            id,
            caption,
            repeats,
            crop,
            heldOut,
          })),
          background: state.background,
          options,
        });
        batcher.flush();
        set({ liveRunId: run.id, selectedRunId: run.id, editedRunName: null });
        get().toastShown({
          kind: 'success',
          title: run.globalStep >= run.options.maxTrainSteps ? `“${run.name}” is trained` : `“${run.name}” was stopped`,
          detail: `${run.globalStep} steps are kept in this browser.`,
          action: {
            label: 'Try it',
            run: () => {
              get().generateLoraChosen(run.id);
              get().roomOpened('try');
            },
          },
        });
      } catch (error) {
        batcher.flush();
        if (!isAborted(error)) set({ trainError: toPlainError(error) });
      } finally {
        set({ isTraining: false, trainCommand: null });
        await get().runsRefreshed();
      }
    },
    trainCommandPressed: async (command) => {
      if (get().trainCommand !== null) return;
      set({ trainCommand: command });
      try {
        await client.request(`train.${command}`, {});
      } catch (error) {
        reportError(context, 'The trainer did not take the command', error);
      } finally {
        set({ trainCommand: null });
      }
    },
  };
}

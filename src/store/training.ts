/** The Train panel: its settings, the run in progress and what it says every step. */
import { type PlainError, toPlainError } from '../core/errors.ts';
import { completeTrainOptions } from '../core/trainOptionsJson.ts';
import { isAborted } from '../worker/client.ts';
import type { SamplePrompt, TrainStatus, TrainStep } from '../worker/protocol.ts';
import { createFrameBatcher } from './frameBatcher.ts';
import { recall, recallForm, remember } from './persisted.ts';
import { withSampleRow } from './runs.ts';
import { reportError, type SliceContext } from './slice.ts';
import { consequences, initialTrainForm, type TrainField, type TrainForm } from './trainForm.ts';
import { trainRequestOf } from './trainRequest.ts';

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
      const request = trainRequestOf(state);
      if (state.isTraining || request === null) return;
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
        const run = await client.request('train.start', request);
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

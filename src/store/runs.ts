/** Finished and stopped runs, their samples, and their files. */
import type { CheckpointInfo, ListedRun, SampleRow } from '../worker/protocol.ts';
import { saveBlob } from './saveBlob.ts';
import { reportError, type SliceContext } from './slice.ts';

export interface RunsSlice {
  /** Newest first. */
  readonly runs: readonly ListedRun[];
  readonly runsLoaded: boolean;
  /** The run that the Export room shows; null means the newest. */
  readonly selectedRunId: string | null;
  /** Sample rows by run, oldest step first; absent until asked for. */
  readonly samplesByRun: Readonly<Record<string, readonly SampleRow[]>>;
  readonly exportingRunId: string | null;
  readonly runsRefreshed: () => Promise<void>;
  readonly runSelected: (runId: string) => void;
  readonly runSamplesNeeded: (runId: string) => Promise<void>;
  /** The steps that a run can be branched off at, ascending; none where they cannot be read. */
  readonly checkpointsNeeded: (runId: string) => Promise<readonly CheckpointInfo[]>;
  readonly runRenamed: (runId: string, name: string) => Promise<void>;
  readonly runDeleted: (runId: string) => Promise<void>;
  readonly runExportPressed: (runId: string) => Promise<void>;
}

/** `rows` with `row` put in by step; a row of the same step is replaced. */
export function withSampleRow(rows: readonly SampleRow[], row: SampleRow): SampleRow[] {
  return [...rows.filter(({ globalStep }) => globalStep !== row.globalStep), row].toSorted(
    (a, b) => a.globalStep - b.globalStep,
  );
}

const lookAgainMs = 2000;

export function createRunsSlice(context: SliceContext): RunsSlice {
  const { client, set, get } = context;
  let lookAgain: ReturnType<typeof setTimeout> | undefined;

  const restore = async (runId: string): Promise<void> => {
    try {
      await client.request('runs.restore', { runId });
    } catch (error) {
      reportError(context, 'The run could not be brought back', error);
    }
    await get().runsRefreshed();
  };

  return {
    runs: [],
    runsLoaded: false,
    selectedRunId: null,
    samplesByRun: {},
    exportingRunId: null,
    runsRefreshed: async () => {
      try {
        const runs = await client.request('runs.list', {});
        set({ runs: runs.toSorted((a, b) => b.startedAt - a.startedAt), runsLoaded: true });
        // A tab that was just closed may seem to train for a moment; one that does train makes itself heard.
        const inDoubt = get().watchedRun === null && runs.some(({ state }) => state === 'elsewhere');
        clearTimeout(lookAgain);
        if (inDoubt) lookAgain = setTimeout(() => void get().runsRefreshed(), lookAgainMs);
      } catch (error) {
        set({ runsLoaded: true });
        reportError(context, 'The stored runs could not be read', error);
      }
    },
    runSelected: (runId) => set({ selectedRunId: runId }),
    runSamplesNeeded: async (runId) => {
      if (get().samplesByRun[runId] !== undefined) return;
      set((state) => ({ samplesByRun: { ...state.samplesByRun, [runId]: [] } }));
      try {
        const rows = await client.request('runs.samples', { runId });
        // Rows that arrived live meanwhile stay.
        set((state) => {
          const live = state.samplesByRun[runId] ?? [];
          return { samplesByRun: { ...state.samplesByRun, [runId]: live.reduce(withSampleRow, [...rows]) } };
        });
      } catch (error) {
        set((state) => {
          const { [runId]: _, ...rest } = state.samplesByRun;
          return { samplesByRun: rest };
        });
        reportError(context, 'The samples of this run could not be read', error);
      }
    },
    checkpointsNeeded: async (runId) => {
      try {
        return await client.request('runs.checkpoints', { runId });
      } catch (error) {
        reportError(context, 'The checkpoints of this run could not be read', error);
        return [];
      }
    },
    runRenamed: async (runId, name) => {
      set((state) => ({ runs: state.runs.map((run) => (run.id === runId ? { ...run, name } : run)) }));
      try {
        await client.request('runs.rename', { runId, name });
      } catch (error) {
        reportError(context, 'The run could not be renamed', error);
        await get().runsRefreshed();
      }
    },
    runDeleted: async (runId) => {
      const name = get().runs.find(({ id }) => id === runId)?.name ?? '';
      set((state) => ({
        runs: state.runs.filter(({ id }) => id !== runId),
        selectedRunId: state.selectedRunId === runId ? null : state.selectedRunId,
        liveRunId: state.liveRunId === runId ? null : state.liveRunId,
      }));
      try {
        await client.request('runs.delete', { runId });
        get().toastShown({
          kind: 'info',
          title: `“${name}” deleted`,
          action: { label: 'Undo', run: () => void restore(runId) },
        });
      } catch (error) {
        reportError(context, 'The run could not be deleted', error);
        await get().runsRefreshed();
      }
    },
    runExportPressed: async (runId) => {
      set({ exportingRunId: runId });
      try {
        const { blob, fileName } = await client.request('runs.export', { runId });
        saveBlob(blob, fileName);
        get().toastShown({ kind: 'success', title: 'LoRA exported', detail: fileName });
      } catch (error) {
        reportError(context, 'The LoRA could not be exported', error);
      } finally {
        set({ exportingRunId: null });
      }
    },
  };
}

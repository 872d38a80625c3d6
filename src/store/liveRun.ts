/** The run that goes on, in this tab or to look on at in another: what it says every step, and what it is told. */
import { type PlainError, toPlainError } from '../core/errors.ts';
import { isAborted } from '../worker/client.ts';
import type {
  BranchRequest,
  QueuedRun,
  RunEvent,
  StoredRun,
  TrainStatus,
  TrainStep,
  ValidationPoint,
  WatchedRun,
} from '../worker/protocol.ts';
import { createFrameBatcher } from './frameBatcher.ts';
import { withSampleRow } from './runs.ts';
import { reportError, type SliceContext } from './slice.ts';
import { trainRequestOf } from './trainRequest.ts';

export type TrainCommand = 'pause' | 'resume' | 'stop' | 'sampleNow';

export interface LiveRunSlice {
  /** A run is going on in this tab (paused counts). */
  readonly isTraining: boolean;
  /** A run that goes on in another tab: it can be watched, not touched. */
  readonly watchedRun: WatchedRun | null;
  /** The run of this visit: going on, or just over. */
  readonly liveRunId: string | null;
  readonly trainStatus: TrainStatus | null;
  /** At most one new one each frame. */
  readonly latestStep: TrainStep | null;
  /** The newest step of which pictures were made. */
  readonly latestStrip: Pick<TrainStep, 'globalStep' | 'strip'> | null;
  /** Losses of the live run; the wrapper changes with every frame, the array inside only grows, or shrinks with a roll-back. */
  readonly liveLosses: { readonly values: readonly number[] };
  /** Losses of the live run on held-out images, by step. */
  readonly liveValidation: readonly ValidationPoint[];
  /** Lines of the logs that were heard at this visit, by run; all of a run's are with the run. */
  readonly liveEvents: Readonly<Record<string, readonly RunEvent[]>>;
  readonly trainError: PlainError | null;
  /** The command that the worker has not answered yet. */
  readonly trainCommand: TrainCommand | null;
  /** Runs that wait for their turn, the next one first. */
  readonly queuedRuns: readonly QueuedRun[];
  readonly trainPressed: () => Promise<void>;
  readonly trainCommandPressed: (command: TrainCommand) => Promise<void>;
  /** Goes on with a run that was interrupted, stopped or failed. */
  readonly runResumed: (runId: string) => Promise<void>;
  readonly runBranched: (request: BranchRequest) => Promise<void>;
  readonly queueRefreshed: () => Promise<void>;
  /** Puts what the settings ask for at the end of the queue. */
  readonly runQueued: () => Promise<void>;
  readonly queuedRunMoved: (id: string, to: number) => Promise<void>;
  readonly queuedRunRemoved: (id: string) => Promise<void>;
  /** Trains what waits, until nothing does. */
  readonly queueStarted: () => Promise<void>;
  /** The page is being hidden, perhaps for good: the run writes down where it stands. */
  readonly pageHidden: () => void;
}

const noPoints: readonly ValidationPoint[] = [];

const noRun = {
  latestStep: null,
  latestStrip: null,
  liveValidation: noPoints,
  trainCommand: null,
  trainError: null,
  trainStatus: null,
} as const;

export function createLiveRunSlice(context: SliceContext): LiveRunSlice {
  const { client, set, get } = context;

  const batcher = createFrameBatcher<TrainStep>((steps) => {
    const latest = steps.at(-1);
    if (latest === undefined) return;
    const values = get().liveLosses.values as number[];
    for (const { globalStep, loss } of steps) {
      values[globalStep - 1] = loss;
      // A run that was rolled back or gone on with repeats steps: what came after them is not the run's any more.
      values.length = globalStep;
    }
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
  client.on('train.validation', ({ runId, ...point }) => {
    set(({ liveValidation, runs }) => {
      // A run that is gone on with has some already.
      const known =
        liveValidation.length > 0 ? liveValidation : (runs.find(({ id }) => id === runId)?.validation ?? []);
      return { liveValidation: [...known.filter(({ globalStep }) => globalStep < point.globalStep), point] };
    });
  });
  client.on('train.sample', (row) => {
    set((state) => ({
      samplesByRun: { ...state.samplesByRun, [row.runId]: withSampleRow(state.samplesByRun[row.runId] ?? [], row) },
    }));
  });
  client.on('train.event', ({ runId, event }) => {
    set(({ liveEvents }) => ({ liveEvents: { ...liveEvents, [runId]: [...(liveEvents[runId] ?? []), event] } }));
  });
  client.on('runQueue.changed', (queuedRuns) => set({ queuedRuns }));
  client.on('watch.changed', (watchedRun) => {
    batcher.flush();
    if (watchedRun !== null) {
      const { runId, losses } = watchedRun;
      set({ ...noRun, watchedRun, liveRunId: runId, liveLosses: { values: [...losses] } });
      void get().runSamplesNeeded(runId);
    } else if (get().watchedRun !== null) {
      set({ ...noRun, watchedRun, liveRunId: null });
    }
    void get().runsRefreshed();
  });

  const trained = (run: StoredRun): void => {
    set({ liveRunId: run.id, selectedRunId: run.id });
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
  };

  /** Shows a run from its beginning, or from where it is gone on with, to its end. Null: there was none. */
  const follow = async (start: () => Promise<StoredRun | null>, from: readonly number[] = []): Promise<void> => {
    // What a run will need is told by the run itself from now on.
    set({ ...noRun, isTraining: true, preflight: null, liveRunId: null, liveLosses: { values: [...from] } });
    try {
      const run = await start();
      batcher.flush();
      if (run !== null) trained(run);
    } catch (error) {
      batcher.flush();
      if (!isAborted(error)) set({ trainError: toPlainError(error) });
    } finally {
      set({ isTraining: false, trainCommand: null });
      await get().runsRefreshed();
    }
  };

  /** The same, and then what waits in the queue, one after the other; not past an error, which is to be read first. */
  const followAll = async (start: () => Promise<StoredRun | null>, from?: readonly number[]): Promise<void> => {
    if (get().isTraining) return;
    await follow(start, from);
    await get().queueRefreshed();
    while (get().queuedRuns.length > 0 && get().trainError === null && get().engineLost === null) {
      await follow(() => client.request('train.next', {}));
      await get().queueRefreshed();
    }
  };

  const changeQueue = async (change: () => Promise<null>, title: string): Promise<boolean> => {
    try {
      await change();
      return true;
    } catch (error) {
      reportError(context, title, error);
      return false;
    }
  };

  return {
    ...noRun,
    isTraining: false,
    watchedRun: null,
    liveRunId: null,
    liveLosses: { values: [] },
    liveValidation: noPoints,
    liveEvents: {},
    queuedRuns: [],
    trainPressed: async () => {
      const request = trainRequestOf(get());
      if (request === null || get().isTraining) return;
      await followAll(async () => {
        const run = await client.request('train.start', request);
        set({ editedRunName: null });
        return run;
      });
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
    runResumed: async (runId) => {
      const losses = get().runs.find(({ id }) => id === runId)?.losses;
      void get().runSamplesNeeded(runId);
      await followAll(() => client.request('train.continue', { runId }), losses);
    },
    runBranched: async (request) => {
      const losses = get()
        .runs.find(({ id }) => id === request.runId)
        ?.losses.slice(0, request.globalStep);
      await followAll(() => client.request('train.branch', request), losses);
    },
    queueRefreshed: async () => {
      try {
        set({ queuedRuns: await client.request('runQueue.list', {}) });
      } catch (error) {
        reportError(context, 'The queue could not be read', error);
      }
    },
    runQueued: async () => {
      const request = trainRequestOf(get());
      if (request === null) return;
      if (!(await changeQueue(() => client.request('runQueue.add', request), 'The run could not be queued'))) return;
      set({ editedRunName: null });
      get().toastShown({
        kind: 'success',
        title: `“${request.name}” is in the queue`,
        detail: 'It starts by itself when its turn has come.',
      });
    },
    queuedRunMoved: async (id, to) => {
      await changeQueue(() => client.request('runQueue.move', { id, to }), 'The queue could not be changed');
    },
    queuedRunRemoved: async (id) => {
      const removed = get().queuedRuns.find((run) => run.id === id);
      const done = await changeQueue(() => client.request('runQueue.remove', { id }), 'The queue could not be changed');
      if (removed === undefined || !done) return;
      const { request } = removed;
      get().toastShown({
        kind: 'info',
        title: `“${request.name}” taken out of the queue`,
        action: {
          label: 'Undo',
          run: () =>
            void changeQueue(() => client.request('runQueue.add', request), 'The run could not be queued again'),
        },
      });
    },
    queueStarted: () => followAll(() => client.request('train.next', {})),
    pageHidden: () => {
      // Nobody is there any more to be told of an error.
      if (get().isTraining) client.request('train.checkpoint', {}).catch(() => undefined);
    },
  };
}

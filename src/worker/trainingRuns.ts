/** The runs of this browser as something to command: begin, go on, branch off, queue, pause, stop. One trains at a time. */
import { LoratoryError, toPlainError } from '../core/errors.ts';
import { defined } from '../core/invariant.ts';
import { heldOutImages } from '../core/validationSplit.ts';
import type { TrainOptions } from '../core/trainOptions.ts';
import { runtime } from '../gpu/runtime.ts';
import { openDiffusionModel } from '../models/repository.ts';
import { TrainControl } from '../session/control.ts';
import { cheaper, hasNoRoom } from '../session/fallback.ts';
import { leastNeed, sizeProblem } from '../session/leastNeed.ts';
import { preflightReport, type Trial, trialSample } from '../session/preflight.ts';
import { RunKeeper, type OnEvent } from '../session/runKeeper.ts';
import { trainLora } from '../session/training.ts';
import type { DatasetStore } from '../storage/datasetStore.ts';
import type { QueueStore } from '../storage/queueStore.ts';
import { availableBytes, browserStorage } from '../storage/quota.ts';
import type { RunStore } from '../storage/runStore.ts';
import { ActiveRun } from './activeRun.ts';
import type { GpuSession } from './gpuSession.ts';
import type { LoraSources } from './loraSources.ts';
import type { Models } from './models.ts';
import type { BranchRequest, ListedRun, PreflightReport, StoredRun, TrainRequest } from './protocol.ts';
import type { RunChannel } from './runChannel.ts';
import type { RunLock } from './runLock.ts';
import { optionsWithSteps, trainingImages } from './trainingImages.ts';

/** A command for a run was given while none is running. */
export class NoRunningTrainingError extends LoratoryError {
  readonly code = 'no-running-training';

  constructor() {
    super('No training is running.', 'Press Start training first.');
  }
}

/** A run that was stored by a version that did not keep what it was asked to do. */
export class RunNotResumableError extends LoratoryError {
  readonly code = 'run-not-resumable';

  constructor(name: string) {
    super(
      `“${name}” cannot be gone on with: it was stored by an older version, which did not keep what that needs.`,
      'Start a new run with its settings.',
      { name },
    );
  }
}

interface TrainingParts {
  readonly gpu: GpuSession;
  readonly models: Models;
  readonly dataset: DatasetStore;
  readonly runs: RunStore;
  readonly queue: QueueStore;
  readonly lock: RunLock;
  readonly channel: RunChannel;
  readonly sources: LoraSources;
}

/** Opens a run for training; null if there is none. */
type OpenRun = (onEvent: OnEvent) => Promise<RunKeeper | null>;

export class TrainingRuns {
  private active: ActiveRun | null = null;

  constructor(private readonly parts: TrainingParts) {}

  /** Throws {@link NoRunningTrainingError}. */
  command(act: (run: ActiveRun) => void): null {
    if (!this.active) throw new NoRunningTrainingError();
    act(this.active);
    return null;
  }

  async list(): Promise<ListedRun[]> {
    const [runs, busy] = await Promise.all([this.parts.runs.list(), this.parts.lock.busyRuns()]);
    return runs.map((run): ListedRun => {
      if (run.id === this.active?.id) return { ...run, state: 'running' };
      if (busy.has(run.id)) return { ...run, state: 'elsewhere' };
      if (run.finishedAt === null) return { ...run, state: 'interrupted' };
      if (run.events?.at(-1)?.kind === 'failed') return { ...run, state: 'failed' };
      return { ...run, state: run.globalStep < run.options.maxTrainSteps ? 'stopped' : 'finished' };
    });
  }

  async start(asked: TrainRequest, signal: AbortSignal): Promise<StoredRun> {
    return this.trainOne(signal, async (onEvent) => {
      const request = await this.withSteps(asked);
      const keeper = await RunKeeper.begin(this.parts.runs, request, onEvent);
      keeper.log('started', 0, `Started: ${request.images.length} images, ${request.options.maxTrainSteps} steps.`);
      return keeper;
    });
  }

  /** Goes on with a run that was interrupted, stopped or failed. */
  async continue(runId: string, signal: AbortSignal): Promise<StoredRun> {
    const { runs } = this.parts;
    return this.trainOne(signal, async (onEvent) =>
      RunKeeper.reopen(runs, runId, await this.requestOf(runId), onEvent),
    );
  }

  /** Begins a new run at a checkpoint of another. */
  async branch({ runId, globalStep, name, options }: BranchRequest, signal: AbortSignal): Promise<StoredRun> {
    const { runs } = this.parts;
    return this.trainOne(signal, async (onEvent) => {
      const request = { ...(await this.requestOf(runId)), name, options };
      return RunKeeper.branch(runs, request, { parent: await runs.get(runId), globalStep, onEvent });
    });
  }

  /** Trains the next run of the queue; null if none waits. One that fails before its first step waits again. */
  async next(signal: AbortSignal): Promise<StoredRun | null> {
    const { queue, runs } = this.parts;
    try {
      return await this.train(signal, async (onEvent) => {
        const [queued] = await queue.list();
        if (!queued) return null;
        const keeper = await RunKeeper.begin(runs, await this.withSteps(queued.request), onEvent, queued);
        await this.queueChanged();
        keeper.log('started', 0, 'Its turn in the queue had come.');
        return keeper;
      });
    } catch (error) {
      await this.queueChanged();
      throw error;
    }
  }

  /** Tries two steps and a sample of what is asked for, with as many images as a batch has, and says what the whole of it would need. */
  async preflight(asked: TrainRequest, signal: AbortSignal): Promise<PreflightReport> {
    const { lock, gpu, models, dataset, channel } = this.parts;
    const { images, ...request } = await this.withSteps(asked);
    const { validation, priorPreservation, ...options } = request.options;
    const batch = images.filter(({ heldOut }) => heldOut !== true).slice(0, options.trainBatchSize);
    const sample = trialSample(request.options);
    const tried: TrainRequest = {
      ...request,
      images: batch,
      options: {
        ...options,
        validation: { ...validation, count: 0, split: 0, everySteps: 0 },
        priorPreservation: { ...priorPreservation, enabled: false },
        samplePrompts: sample ? [sample] : [],
      },
    };
    const control = new TrainControl();
    signal.throwIfAborted();
    signal.addEventListener('abort', () => control.cancel(signal.reason), { once: true });
    const onStatus = (detail: string, progress: number | null): void =>
      channel.emit('preflight.status', { detail, progress });
    return lock.whileTraining(() =>
      gpu.train(async () => {
        let trial = null as Trial | null;
        const tree = await models.openTree(request.modelId, {
          signal: control.signal,
          onProgress: ({ loadedBytes, totalBytes }) => onStatus('Fetching the model', loadedBytes / totalBytes),
        });
        const model = await openDiffusionModel(tree);
        const { opened, device } = runtime();
        const room = { bytes: opened.memoryBytes, largestBuffer: device.limits.maxStorageBufferBindingSize };
        const problemOf = (of: TrainOptions): string | null => sizeProblem(leastNeed(model, of), room);
        let gpuProblem = problemOf(request.options);
        try {
          // What sizes rule out needs no trial.
          if (gpuProblem === null)
            await trainLora({ ...tried, model, images: await trainingImages(tried, dataset) }, control, {
              onStatus: (_phase, detail, progress) => onStatus(detail, progress),
              onTrial: async (result) => {
                trial = result;
                return sample !== null;
              },
              onSample: () => control.requestStop(),
            });
          if (trial) trial = { ...trial, gpuPeakBytes: runtime().counters.peakBytes };
        } catch (error) {
          if (!hasNoRoom(error)) throw error;
          gpuProblem = error.message;
          trial = null;
          await gpu.reopen();
        }
        const heldOut = heldOutImages(images, validation).filter(Boolean).length;
        const diskFreeBytes = await availableBytes(browserStorage());
        const fits = (of: TrainOptions): boolean => problemOf(of) === null;
        return preflightReport({ options: request.options, trial, gpuProblem, fits, heldOut, diskFreeBytes });
      }),
    );
  }

  /** Changes the queue; the page and the other tabs hear of it. */
  async queueChanged(change: () => Promise<void> = async () => {}): Promise<null> {
    const { channel, queue } = this.parts;
    await change();
    channel.queueChanged();
    channel.emit('runQueue.changed', await queue.list());
    return null;
  }

  /** Images that a run may still need: they must not be deleted for good. */
  async neededImages(): Promise<Set<string>> {
    const { runs, queue } = this.parts;
    const unfinished = (await runs.list()).filter((run) => run.globalStep < run.options.maxTrainSteps);
    const requests = await Promise.all(unfinished.map((run) => runs.request(run.id)));
    const queued = (await queue.list()).map(({ request }) => request);
    return new Set([...requests, ...queued].flatMap((request) => request?.images.map(({ id }) => id) ?? []));
  }

  /** The request with the steps that its epochs take: what is stored, shown and written into files counts in steps. */
  private async withSteps(request: TrainRequest): Promise<TrainRequest> {
    return { ...request, options: await optionsWithSteps(request, this.parts.dataset) };
  }

  private async requestOf(runId: string): Promise<TrainRequest> {
    const { name } = await this.parts.runs.get(runId);
    const request = await this.parts.runs.request(runId);
    if (!request) throw new RunNotResumableError(name);
    return request;
  }

  private async trainOne(signal: AbortSignal, open: OpenRun): Promise<StoredRun> {
    return defined(await this.train(signal, open), 'run');
  }

  private async train(signal: AbortSignal, open: OpenRun): Promise<StoredRun | null> {
    const { lock, gpu, channel } = this.parts;
    return lock.whileTraining(() =>
      gpu.train(async () => {
        signal.throwIfAborted();
        const keeper = await open((runId, event) => channel.emit('train.event', { runId, event }));
        return keeper && lock.whileTouching(keeper.run.id, () => this.trainKept(keeper, signal));
      }),
    );
  }

  private async trainKept(keeper: RunKeeper, signal: AbortSignal): Promise<StoredRun> {
    const { gpu, channel } = this.parts;
    const { id, name, losses, options } = keeper.run;
    channel.begin({ runId: id, name, maxTrainSteps: options.maxTrainSteps, losses });
    try {
      for (;;) {
        const run = new ActiveRun(keeper, { ...this.parts, emit: (type, payload) => channel.emit(type, payload) });
        this.active = run;
        const stop = (): void => run.stop();
        signal.addEventListener('abort', stop);
        // It may have come between two attempts.
        if (signal.aborted) stop();
        try {
          return await run.train();
        } catch (error) {
          const fallback = hasNoRoom(error) ? cheaper(keeper.request.options) : null;
          if (!fallback || signal.aborted) throw await run.fail(error);
          keeper.log(
            'fell-back',
            keeper.run.globalStep,
            `${toPlainError(error).message} Going on with ${fallback.words}.`,
          );
          await keeper.change(fallback.changes);
          await gpu.reopen();
        } finally {
          signal.removeEventListener('abort', stop);
          this.active = null;
        }
      }
    } finally {
      channel.end();
    }
  }
}

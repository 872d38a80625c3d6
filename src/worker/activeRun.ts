/** The run that is being trained in this tab, from its stored request to its stored end. */
import { toPlainError } from '../core/errors.ts';
import { heldOutImages } from '../core/validationSplit.ts';
import { openDiffusionModel, type DiffusionModel } from '../models/repository.ts';
import { TrainControl } from '../session/control.ts';
import { LiveGenerator } from '../session/liveGenerator.ts';
import { needsInWords, preflightReport } from '../session/preflight.ts';
import type { RunKeeper } from '../session/runKeeper.ts';
import { SampleWatch } from '../session/sampleWatch.ts';
import { trainLora, type TrainingResult } from '../session/training.ts';
import type { DatasetStore } from '../storage/datasetStore.ts';
import { availableBytes, browserStorage, formatBytes, StorageQuotaError } from '../storage/quota.ts';
import type { RunStore } from '../storage/runStore.ts';
import type { Checkpoint } from '../trainer/checkpoint.ts';
import type { GpuSession } from './gpuSession.ts';
import type { LoraSources } from './loraSources.ts';
import { browserClassImages } from './classImages.ts';
import type { Models } from './models.ts';
import { pngBlob } from './pictures.ts';
import type { Events, EventType, StoredRun, TrainPhase } from './protocol.ts';
import { trainingImages } from './trainingImages.ts';

export interface ActiveRunParts {
  readonly models: Models;
  readonly dataset: DatasetStore;
  readonly runs: RunStore;
  readonly gpu: GpuSession;
  readonly sources: LoraSources;
  readonly emit: <T extends EventType>(type: T, payload: Events[T]) => void;
}

export class ActiveRun {
  readonly control = new TrainControl();
  /** There is something to keep. */
  private begun = false;
  /** The model is loaded and steps are being done. */
  private stepping = false;

  constructor(
    readonly keeper: RunKeeper,
    private readonly parts: ActiveRunParts,
  ) {}

  get id(): string {
    return this.keeper.run.id;
  }

  /** While preparing nothing is lost, so the run ends at once; later it ends after its step. */
  stop(): void {
    if (this.stepping) this.control.requestStop();
    else this.control.cancel(new DOMException('The run was stopped before its first step.', 'AbortError'));
  }

  /** Trains to the end, from the run's newest checkpoint or from its first step. What fails is thrown; see {@link fail}. */
  async train(): Promise<StoredRun> {
    const { keeper } = this;
    const { maxTrainSteps } = keeper.request.options;
    const resumeFrom = await keeper.newestCheckpoint();
    if (resumeFrom) {
      const { globalStep } = resumeFrom.position;
      this.begun = true;
      keeper.log('resumed', globalStep, `Going on after step ${globalStep} of ${maxTrainSteps}.`);
    }
    const { stopped, globalStep } = await this.run(resumeFrom).finally(() => (this.parts.gpu.drawing = null));
    const run = await keeper.end(
      stopped ? 'stopped' : 'finished',
      stopped ? `Stopped after step ${globalStep} of ${maxTrainSteps}.` : `All ${maxTrainSteps} steps are done.`,
    );
    this.status(stopped ? 'stopped' : 'finished', stopped ? 'Stopped' : 'Finished', 1);
    return run;
  }

  /** Ends the run with `error`, which is returned. A new run that did not come to its first step is forgotten. */
  async fail(error: unknown): Promise<unknown> {
    const { keeper } = this;
    const { message, remedy, code } = toPlainError(error);
    const aborted = code === 'aborted';
    // Who stops a run before its first step does not want it.
    if (!this.begun) await keeper.discard({ isWanted: !aborted });
    else await keeper.end(aborted ? 'stopped' : 'failed', aborted ? 'Stopped.' : `${message} ${remedy}`);
    this.status(aborted ? 'stopped' : 'failed', message, null);
    return error;
  }

  private async run(resumeFrom: Checkpoint | null): Promise<TrainingResult> {
    const { keeper, id: runId } = this;
    const { triggerWord, options } = keeper.request;
    const { emit, runs } = this.parts;
    const images = await trainingImages(keeper.request, this.parts.dataset);
    const model = await this.openModel();
    const live = new LiveGenerator(model, keeper.run.name, options);
    const watch = new SampleWatch();
    const { gpu, sources } = this.parts;
    gpu.drawing = {
      modelId: keeper.request.modelId,
      draw: (work, signal) =>
        live.draw(
          this.control,
          async (generator, adapter) => {
            sources.live = { runId, adapter };
            try {
              return await work(generator);
            } finally {
              sources.live = null;
            }
          },
          signal,
        ),
    };
    const kept = keeper.events(model.name);
    return await trainLora(
      {
        model,
        images,
        triggerWord,
        options,
        classImageStore: browserClassImages(),
        ...(resumeFrom ? { resumeFrom } : {}),
      },
      this.control,
      {
        ...kept,
        onValidation: async (point) => {
          await kept.onValidation(point);
          emit('train.validation', { runId, ...point });
        },
        onStatus: (phase, detail, progress) => this.status(phase, detail, progress),
        onTrial: async (trial) => {
          const heldOut = heldOutImages(images, options.validation).filter(Boolean).length;
          const diskFreeBytes = await availableBytes(browserStorage());
          const report = preflightReport({ options, trial, gpuProblem: null, heldOut, diskFreeBytes });
          keeper.log('needs', 0, needsInWords(report));
          if (report.problem !== null) throw new StorageQuotaError(report.diskBytes, report.diskFreeBytes);
          return true;
        },
        onStep: async ({ strip, ...numbers }) => {
          this.begun = true;
          emit('train.step', { runId, ...numbers, strip: await strip() });
        },
        onSample: async ({ globalStep, images: drawn }) => {
          const row = {
            runId,
            globalStep,
            images: drawn.map(({ prompt, seed, image }) => ({ prompt, seed, png: pngBlob(image) })),
          };
          emit('train.sample', row);
          const warning = watch.judge({ globalStep, images: drawn });
          if (warning !== null) keeper.log('samples', globalStep, warning);
          await runs.addSample(row);
        },
      },
    );
  }

  /** The first run with the built-in model fetches it; any other is in storage already. */
  private async openModel(): Promise<DiffusionModel> {
    const tree = await this.parts.models.openTree(this.keeper.request.modelId, {
      signal: this.control.signal,
      onProgress: ({ loadedBytes, totalBytes }) =>
        this.status(
          'preparing',
          `Fetching the model: ${formatBytes(loadedBytes)} of ${formatBytes(totalBytes)}`,
          loadedBytes / totalBytes,
        ),
    });
    return openDiffusionModel(tree);
  }

  private status(phase: TrainPhase, detail: string, progress: number | null): void {
    this.parts.emit('train.status', { runId: this.id, phase, detail, progress });
  }
}

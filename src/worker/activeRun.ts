import { toPlainError } from '../core/errors.ts';
import { adapterFile } from '../export/runFile.ts';
import { trainingFactsOf } from '../export/trainingFacts.ts';
import type { LoraModule } from '../formats/lora/types.ts';
import { openDiffusionModel, type DiffusionModel } from '../models/repository.ts';
import { TrainControl } from '../session/control.ts';
import { trainLora } from '../session/training.ts';
import type { DatasetStore } from '../storage/datasetStore.ts';
import { formatBytes } from '../storage/quota.ts';
import type { RunStore } from '../storage/runStore.ts';
import type { Models } from './models.ts';
import { pngBlob } from './pictures.ts';
import type { StoredRun, TrainRecord, TrainRequest } from './protocol.ts';
import type { RequestContext } from './server.ts';
import { trainingImages } from './trainingImages.ts';

/** The run that is being trained, from the request to the stored adapter. */
export class ActiveRun {
  readonly control = new TrainControl();
  private readonly id = crypto.randomUUID();
  private readonly startedAt = Date.now();
  private readonly losses: number[] = [];
  private record: (() => TrainRecord) | null = null;
  private preparing = true;

  constructor(
    private readonly request: TrainRequest,
    private readonly runs: RunStore,
    private readonly context: RequestContext,
  ) {
    context.signal.addEventListener('abort', () => this.stop());
  }

  /** While preparing there is nothing to keep yet, so the run ends at once; later it ends after its step. */
  stop(): void {
    if (this.preparing)
      this.control.cancel(new DOMException('The run was stopped before its first step.', 'AbortError'));
    else this.control.requestStop();
  }

  async train(models: Models, dataset: DatasetStore): Promise<StoredRun> {
    const { request, context, id: runId } = this;
    const images = await trainingImages(request, dataset);
    try {
      const model = await this.openModel(models);
      const result = await trainLora(
        { model, images, triggerWord: request.triggerWord, options: request.options },
        this.control,
        {
          onStatus: (phase, detail, progress) => context.emit('train.status', { runId, phase, detail, progress }),
          onStep: async (report) => {
            this.preparing = false;
            this.losses.push(report.loss);
            this.record = report.record;
            const { strip, record: _, ...numbers } = report;
            context.emit('train.step', {
              runId,
              maxTrainSteps: request.options.maxTrainSteps,
              ...numbers,
              strip: await strip(),
            });
          },
          onSample: ({ globalStep, images: drawn }) => {
            const row = {
              runId,
              globalStep,
              images: drawn.map(({ prompt, seed, image }) => ({ prompt, seed, png: pngBlob(image) })),
            };
            context.emit('train.sample', row);
            this.pending.push(this.runs.addSample(row));
          },
          onCheckpoint: async (modules, globalStep) => {
            await this.store(model, modules, globalStep, null);
          },
        },
      );
      await Promise.all(this.pending);
      const run = await this.store(model, result.modules, result.globalStep, Date.now());
      context.emit('train.status', {
        runId,
        phase: result.stopped ? 'stopped' : 'finished',
        detail: result.stopped ? 'Stopped' : 'Finished',
        progress: 1,
      });
      return run;
    } catch (error) {
      const { message, code } = toPlainError(error);
      context.emit('train.status', {
        runId,
        phase: code === 'aborted' ? 'stopped' : 'failed',
        detail: message,
        progress: null,
      });
      throw error;
    }
  }

  private readonly pending: Promise<void>[] = [];

  /** The first run with the built-in model fetches it; any other is in storage already. */
  private async openModel(models: Models): Promise<DiffusionModel> {
    const tree = await models.openTree(this.request.modelId, {
      signal: this.control.signal,
      onProgress: ({ loadedBytes, totalBytes }) =>
        this.context.emit('train.status', {
          runId: this.id,
          phase: 'preparing',
          detail: `Fetching the model: ${formatBytes(loadedBytes)} of ${formatBytes(totalBytes)}`,
          progress: loadedBytes / totalBytes,
        }),
    });
    return openDiffusionModel(tree);
  }

  private async store(
    model: DiffusionModel,
    modules: readonly LoraModule[],
    globalStep: number,
    finishedAt: number | null,
  ): Promise<StoredRun> {
    const { request, id, startedAt } = this;
    const run: StoredRun = {
      id,
      name: request.name,
      modelId: request.modelId,
      triggerWord: request.triggerWord,
      startedAt,
      finishedAt,
      globalStep,
      options: request.options,
      imageCount: request.images.length,
      losses: [...this.losses],
    };
    const adapter = adapterFile(modules, {
      name: request.name,
      modelName: model.name,
      triggerWord: request.triggerWord,
      captions: request.images.map((image) => image.caption),
      startedAt,
      finishedAt: finishedAt ?? Date.now(),
      globalStep,
      ...trainingFactsOf(request.options),
    });
    await this.runs.save(run, { adapter, ...(this.record ? { record: this.record() } : {}) });
    return run;
  }
}

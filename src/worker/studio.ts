/** What the studio can do, request by request: wires storage, hub, sessions and export together. */
import type { Adapter } from '../adapter/lora.ts';
import { LoratoryError, toPlainError } from '../core/errors.ts';
import { decodeImageFile } from '../dataset/accept.ts';
import { adapterFile, readAdapterFile } from '../export/runFile.ts';
import { trainingFactsOf } from '../export/trainingFacts.ts';
import { loraShortHash } from '../formats/loraHash.ts';
import { encodePng } from '../formats/png.ts';
import { formatParameters } from '../formats/pngParameters.ts';
import type { LoraModule } from '../formats/lora/types.ts';
import { BuiltInModel } from '../hub/builtInModel.ts';
import { openDiffusionModel, type DiffusionModel } from '../models/repository.ts';
import { TrainControl } from '../session/control.ts';
import { pictureParameters } from '../session/parameters.ts';
import { adaptableModules, trainLora } from '../session/training.ts';
import { DatasetStore } from '../storage/datasetStore.ts';
import { ModelStore } from '../storage/modelStore.ts';
import { formatBytes, storageInfo } from '../storage/quota.ts';
import { RunStore } from '../storage/runStore.ts';
import { decodeInBrowser, thumbnailOf } from './decodeImage.ts';
import { GpuSession } from './gpuSession.ts';
import { Models } from './models.ts';
import { pageUrl } from './pageUrl.ts';
import type {
  AddImagesResult,
  DatasetImage,
  Events,
  EventType,
  RgbImage,
  StoredRun,
  TrainRecord,
  TrainRequest,
} from './protocol.ts';
import type { Handlers, RequestContext } from './server.ts';
import { PromptCounter } from './promptCounter.ts';
import { taggedRuns } from './taggedRuns.ts';

/** A command for a run was given while none is running. */
export class NoRunningTrainingError extends LoratoryError {
  readonly code = 'no-running-training';

  constructor() {
    super('No training is running.', 'Press Start training first.');
  }
}

/** Removed images and runs can be brought back for this long, even over a reload. */
const keepRemovedMs = 24 * 60 * 60 * 1000;

export function createHandlers(emit: <T extends EventType>(type: T, payload: Events[T]) => void): Handlers {
  const modelStore = new ModelStore();
  const models = new Models(modelStore, new BuiltInModel(pageUrl('models/demo/'), modelStore));
  const dataset = new DatasetStore();
  const runs = new RunStore();
  const gpu = new GpuSession(models, (error) => emit('gpu.lost', toPlainError(error)));
  const adapters = new AdapterCache(runs);
  const prompts = new PromptCounter(modelStore);
  let active: ActiveRun | null = null;

  const withControl = async (act: (run: ActiveRun) => void): Promise<null> => {
    if (!active) throw new NoRunningTrainingError();
    act(active);
    return null;
  };

  void dataset.purgeRemoved(Date.now() - keepRemovedMs).catch(() => undefined);
  void runs.purgeRemoved(Date.now() - keepRemovedMs).catch(() => undefined);

  return {
    'gpu.open': () => gpu.info(),
    'storage.info': () => storageInfo(),
    'models.list': () => models.list(),
    'models.download': (request, { signal, emit: send }) =>
      models.download(request, { signal, onProgress: (progress) => send('download.progress', progress) }),
    'models.delete': async ({ id }) => {
      await models.delete(id);
      return null;
    },
    'dataset.list': () => dataset.list(),
    'dataset.add': ({ files, captions }, context) => addImages(dataset, files, captions, context),
    'dataset.caption': async ({ id, caption }) => {
      await dataset.setCaption(id, caption);
      return null;
    },
    'dataset.remove': async ({ ids }) => {
      await dataset.remove(ids);
      return null;
    },
    'dataset.restore': ({ ids }) => dataset.restore(ids),
    'train.start': (request, context) =>
      gpu.train(async () => {
        const run = new ActiveRun(request, runs, context);
        active = run;
        try {
          return await run.train(models, dataset);
        } finally {
          active = null;
        }
      }),
    'train.pause': () => withControl((run) => run.control.pause()),
    'train.resume': () => withControl((run) => run.control.resume()),
    'train.stop': () => withControl((run) => run.stop()),
    'train.sampleNow': () => withControl((run) => run.control.requestSample()),
    'runs.list': () => runs.list(),
    'runs.samples': ({ runId }) => runs.samples(runId),
    'runs.record': ({ runId }) => runs.record(runId),
    'runs.rename': async ({ runId, name }) => {
      await runs.rename(runId, name);
      return null;
    },
    'runs.delete': async ({ runId }) => {
      await runs.remove(runId);
      return null;
    },
    'runs.restore': async ({ runId }) => {
      await runs.restore(runId);
      return null;
    },
    'runs.export': async ({ runId }) => {
      const run = await runs.get(runId);
      return {
        fileName: `${safeFileName(run.name)}.safetensors`,
        blob: new Blob([await runs.adapter(runId)], { type: 'application/octet-stream' }),
      };
    },
    'prompt.count': (request) => prompts.count(request),
    generate: ({ modelId, loras, ...request }, { signal, emit: send }) =>
      gpu.generate(modelId, async (generator) => {
        signal.throwIfAborted();
        const started = performance.now();
        let firstStep = started;
        const tagged = request.syntax === 'plain' ? [] : taggedRuns(request.prompt, await runs.list());
        const plugged = await Promise.all(
          [...loras, ...tagged].map(async ({ runId, ...weights }) => ({
            ...(await adapters.get(runId, generator.model)),
            ...weights,
          })),
        );
        const image = await generator.generate(
          { ...request, loras: plugged },
          {
            signal,
            onStep: (step) => {
              const now = performance.now();
              if (step === 1) firstStep = now;
              const perStep = step === 1 ? now - started : (now - firstStep) / (step - 1);
              send('generate.progress', {
                step,
                numInferenceSteps: request.numInferenceSteps,
                etaSeconds: ((request.numInferenceSteps - step) * perStep) / 1000,
              });
            },
          },
        );
        const parameters = pictureParameters(request, { modelName: generator.model.name, loras: plugged });
        return {
          png: pngBlob(image, { parameters: formatParameters(parameters) }),
          width: image.width,
          height: image.height,
          milliseconds: performance.now() - started,
        };
      }),
  };
}

/** The run that is being trained, from the request to the stored adapter. */
class ActiveRun {
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
    const known = new Map((await dataset.list()).map((image) => [image.id, image]));
    const images = request.images.map(({ id, caption }) => ({
      id,
      caption,
      pixels: async () => decodeImageFile(await dataset.original(id), known.get(id)?.fileName ?? id, decodeInBrowser),
    }));
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

interface RunLora {
  readonly name: string;
  readonly adapter: Adapter;
  readonly hash: string;
}

/** Adapters of stored runs, parsed once per version, so that moving a slider reads nothing. */
class AdapterCache {
  private readonly known = new Map<string, { readonly version: string; readonly lora: RunLora }>();

  constructor(private readonly runs: RunStore) {}

  async get(runId: string, model: DiffusionModel): Promise<RunLora> {
    const run = await this.runs.get(runId);
    const version = `${run.globalStep}@${run.finishedAt ?? 0}@${run.name}@${model.name}`;
    const cached = this.known.get(runId);
    if (cached?.version === version) return cached.lora;
    const bytes = await this.runs.adapter(runId);
    const { adapter } = await readAdapterFile(run.name, bytes, adaptableModules(model));
    const lora = { name: run.name, adapter, hash: loraShortHash(bytes) };
    this.known.set(runId, { version, lora });
    return lora;
  }
}

async function addImages(
  dataset: DatasetStore,
  files: readonly File[],
  captions: Readonly<Record<string, string>>,
  { signal, emit }: RequestContext,
): Promise<AddImagesResult> {
  const added: DatasetImage[] = [];
  const refused: { fileName: string; error: ReturnType<typeof toPlainError> }[] = [];
  for (const [done, file] of files.entries()) {
    signal.throwIfAborted();
    emit('dataset.progress', { done, total: files.length });
    try {
      const image = await decodeImageFile(file, file.name, decodeInBrowser);
      const stem = file.name.replace(/\.[^.]*$/, '');
      added.push(
        ...(await dataset.add([
          {
            fileName: file.name,
            width: image.width,
            height: image.height,
            caption: captions[stem] ?? '',
            original: file,
            thumbnail: await thumbnailOf(image),
          },
        ])),
      );
    } catch (error) {
      refused.push({ fileName: file.name, error: toPlainError(error) });
    }
  }
  emit('dataset.progress', { done: files.length, total: files.length });
  return { added, refused };
}

function pngBlob(image: RgbImage, texts: Readonly<Record<string, string>> = {}): Blob {
  return new Blob([encodePng(image, texts)], { type: 'image/png' });
}

function safeFileName(name: string): string {
  const cleaned = name.replace(/[^\p{L}\p{N}._ -]+/gu, '_').trim();
  return cleaned === '' ? 'lora' : cleaned;
}

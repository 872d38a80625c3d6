/** What the studio can do, request by request: wires storage, hub, sessions and export together. */
import { toPlainError } from '../core/errors.ts';
import { BuiltInModel } from '../hub/builtInModel.ts';
import { DatasetStore } from '../storage/datasetStore.ts';
import { ModelStore } from '../storage/modelStore.ts';
import { PictureStore } from '../storage/pictureStore.ts';
import { storageInfo } from '../storage/quota.ts';
import { QueueStore } from '../storage/queueStore.ts';
import { RunStore } from '../storage/runStore.ts';
import { TileStore } from '../storage/tileStore.ts';
import { createDatasetHandlers } from './datasetHandlers.ts';
import { safeFileName } from './fileNames.ts';
import { generationHandlers } from './generation.ts';
import { GpuSession } from './gpuSession.ts';
import { interchangeHandlers } from './interchange.ts';
import { Library } from './library.ts';
import { loraToolHandlers } from './loraTools.ts';
import { Models } from './models.ts';
import { pageUrl } from './pageUrl.ts';
import { pictureHandlers } from './pictureHandlers.ts';
import { PreviewDecoder } from './previewDecoder.ts';
import { PromptCounter } from './promptCounter.ts';
import type { Events, EventType } from './protocol.ts';
import { RunChannel } from './runChannel.ts';
import { RunLock } from './runLock.ts';
import type { Handlers } from './server.ts';
import { TrainingRuns } from './trainingRuns.ts';

/** Removed images and runs can be brought back for this long, even over a reload. */
const keepRemovedMs = 24 * 60 * 60 * 1000;

export function createHandlers(emit: <T extends EventType>(type: T, payload: Events[T]) => void): Handlers {
  const modelStore = new ModelStore();
  const previews = new PreviewDecoder();
  const models = new Models(modelStore, new BuiltInModel(pageUrl('models/demo/'), modelStore), previews);
  const dataset = new DatasetStore();
  const runs = new RunStore();
  const gpu = new GpuSession(models, (error) => emit('gpu.lost', toPlainError(error)), new TileStore());
  const library = new Library(runs);
  const pictures = new PictureStore();
  const prompts = new PromptCounter(modelStore);
  const queue = new QueueStore();
  const lock = new RunLock(navigator.locks);
  const channel = new RunChannel({
    channel: typeof BroadcastChannel === 'undefined' ? undefined : new BroadcastChannel('loratory-runs'),
    lock,
    emit,
    onQueue: () => void queue.list().then((list) => emit('runQueue.changed', list)),
  });
  const training = new TrainingRuns({ gpu, models, dataset, runs, queue, lock, channel, sources: library.sources });

  const before = Date.now() - keepRemovedMs;
  void runs.purgeRemoved(before).catch(() => undefined);
  void library.purgeRemoved(before).catch(() => undefined);
  void pictures.purgeRemoved(before).catch(() => undefined);
  void training
    .neededImages()
    .then((needed) => dataset.purgeRemoved(before, needed))
    .catch(() => undefined);

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
    ...createDatasetHandlers(dataset),
    'train.start': (request, { signal }) => training.start(request, signal),
    'train.continue': ({ runId }, { signal }) => training.continue(runId, signal),
    'train.branch': (request, { signal }) => training.branch(request, signal),
    'train.next': (_, { signal }) => training.next(signal),
    'train.preflight': (request, { signal }) => training.preflight(request, signal),
    'train.pause': async () => training.command((run) => run.control.pause()),
    'train.resume': async () => training.command((run) => run.control.resume()),
    'train.stop': async () => training.command((run) => run.stop()),
    'train.sampleNow': async () => training.command((run) => run.control.requestSample()),
    'train.checkpoint': async () => training.command((run) => run.control.requestCheckpoint()),
    'runQueue.list': () => queue.list(),
    'runQueue.add': (request) => training.queueChanged(() => queue.add(request)),
    'runQueue.remove': ({ id }) => training.queueChanged(() => queue.remove(id)),
    'runQueue.move': ({ id, to }) => training.queueChanged(() => queue.move(id, to)),
    'runs.list': () => training.list(),
    'runs.checkpoints': ({ runId }) => runs.checkpoints(runId),
    'runs.samples': ({ runId }) => runs.samples(runId),
    'runs.record': ({ runId }) => runs.record(runId),
    'runs.rename': async ({ runId, name }) => {
      await runs.rename(runId, name);
      return null;
    },
    'runs.delete': async ({ runId }) => {
      await lock.whileTouching(runId, () => runs.remove(runId));
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
    ...interchangeHandlers({ models: modelStore, dataset, runs }),
    'prompt.count': (request) => prompts.count(request),
    'preview.isStored': () => previews.isStored(),
    'preview.fetch': async (request, { signal, emit: send }) => {
      await previews.fetch(request, { signal, onProgress: (progress) => send('download.progress', progress) });
      return null;
    },
    'runs.steps': ({ runId }) => runs.steps(runId),
    ...library.handlers(),
    ...pictureHandlers(pictures),
    ...loraToolHandlers(library.sources, models),
    ...generationHandlers({ gpu, runs, library, onQueue: (state) => emit('queue.changed', state) }),
  };
}

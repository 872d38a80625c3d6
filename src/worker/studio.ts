/** What the studio can do, request by request: wires storage, hub, sessions and export together. */
import { LoratoryError, toPlainError } from '../core/errors.ts';
import { BuiltInModel } from '../hub/builtInModel.ts';
import { DatasetStore } from '../storage/datasetStore.ts';
import { ModelStore } from '../storage/modelStore.ts';
import { PictureStore } from '../storage/pictureStore.ts';
import { storageInfo } from '../storage/quota.ts';
import { RunStore } from '../storage/runStore.ts';
import { ActiveRun } from './activeRun.ts';
import { createDatasetHandlers } from './datasetHandlers.ts';
import { safeFileName } from './fileNames.ts';
import { generationHandlers } from './generation.ts';
import { GpuSession } from './gpuSession.ts';
import { Library } from './library.ts';
import { loraToolHandlers } from './loraTools.ts';
import { Models } from './models.ts';
import { pageUrl } from './pageUrl.ts';
import { pictureHandlers } from './pictureHandlers.ts';
import { PromptCounter } from './promptCounter.ts';
import type { Events, EventType } from './protocol.ts';
import type { Handlers } from './server.ts';

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
  const library = new Library(runs);
  const pictures = new PictureStore();
  const prompts = new PromptCounter(modelStore);
  let active: ActiveRun | null = null;

  const withControl = async (act: (run: ActiveRun) => void): Promise<null> => {
    if (!active) throw new NoRunningTrainingError();
    act(active);
    return null;
  };

  void dataset.purgeRemoved(Date.now() - keepRemovedMs).catch(() => undefined);
  void runs.purgeRemoved(Date.now() - keepRemovedMs).catch(() => undefined);
  void library.purgeRemoved(Date.now() - keepRemovedMs).catch(() => undefined);
  void pictures.purgeRemoved(Date.now() - keepRemovedMs).catch(() => undefined);

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
    'runs.steps': ({ runId }) => runs.steps(runId),
    ...library.handlers(),
    ...pictureHandlers(pictures),
    ...loraToolHandlers(library.sources, models),
    ...generationHandlers({ gpu, runs, library, onQueue: (state) => emit('queue.changed', state) }),
  };
}

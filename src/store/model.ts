/** Base models: which are kept in this browser, which one is in use, and the download of another. */
import { type PlainError, toPlainError } from '../core/errors.ts';
import { isAborted } from '../worker/client.ts';
import type { DownloadProgress, ListedModel, StorageInfo } from '../worker/protocol.ts';
import { createFrameBatcher } from './frameBatcher.ts';
import { defaultEndpoint } from './hubId.ts';
import { followGenerateForm, followTrainForm } from './modelDefaults.ts';
import { recall, remember } from './persisted.ts';
import { reportError, type SliceContext } from './slice.ts';

export interface Download {
  readonly modelId: string;
  readonly progress: DownloadProgress | null;
  readonly cancelling: boolean;
}

export interface ModelSlice {
  readonly models: readonly ListedModel[];
  readonly modelsLoaded: boolean;
  readonly storage: StorageInfo | null;
  /** The model in use; always one of `models`, or null. */
  readonly selectedModelId: string | null;
  readonly endpoint: string;
  /** In memory only: never stored, gone with the page. */
  readonly accessToken: string;
  readonly download: Download | null;
  /** The model whose download stopped half-way; asking again resumes it. */
  readonly interruptedModelId: string | null;
  readonly modelError: PlainError | null;
  readonly modelsRefreshed: () => Promise<void>;
  readonly endpointEdited: (endpoint: string) => void;
  readonly accessTokenEdited: (token: string) => void;
  readonly modelDownloadRequested: (id: string) => Promise<void>;
  readonly modelDownloadCancelled: () => void;
  readonly modelSelected: (id: string) => void;
  readonly modelDeleteConfirmed: (id: string) => Promise<void>;
}

/** Asks the browser not to clear what is stored here when the disk runs full. Only windows may ask, so the worker cannot. */
function keepStorage(): void {
  const storage = (globalThis as { navigator?: { storage?: Partial<StorageManager> } }).navigator?.storage;
  // A refusal changes nothing: the storage line says that it may be cleared.
  storage?.persist?.().catch(() => undefined);
}

/** Seconds until the download is complete, or null while the speed is not known. */
export function downloadEta(progress: DownloadProgress): number | null {
  const { loadedBytes, totalBytes, bytesPerSecond } = progress;
  return bytesPerSecond > 0 && totalBytes > 0 ? (totalBytes - loadedBytes) / bytesPerSecond : null;
}

export function createModelSlice(context: SliceContext): ModelSlice {
  const { client, set, get } = context;
  let controller: AbortController | null = null;
  const batcher = createFrameBatcher<DownloadProgress>((values) => {
    const progress = values.at(-1) ?? null;
    set(({ download }) =>
      download?.modelId === progress?.modelId && download !== null ? { download: { ...download, progress } } : {},
    );
  });
  client.on('download.progress', (progress) => batcher.push(progress));

  const refreshStorage = (): Promise<void> =>
    client.request('storage.info', {}).then(
      (storage) => set({ storage }),
      // Without a figure the bar is simply not shown.
      () => set({ storage: null }),
    );

  /** Takes a model into use, and has the forms follow it. */
  const takeIntoUse = (models: readonly ListedModel[], id: string | null): void => {
    const { models: known, selectedModelId, trainForm, generateForm } = get();
    const model = models.find((each) => each.id === id);
    const former = known.find((each) => each.id === selectedModelId) ?? null;
    if (model === undefined) {
      set({ models, selectedModelId: null });
    } else if (model.id === former?.id) {
      set({ models });
    } else {
      const forms = {
        trainForm: followTrainForm(trainForm, model, former),
        generateForm: followGenerateForm(generateForm, model, former),
      };
      for (const form of ['trainForm', 'generateForm'] as const) remember(form, JSON.stringify(forms[form]));
      set({ models, selectedModelId: model.id, ...forms });
    }
  };

  return {
    models: [],
    modelsLoaded: false,
    storage: null,
    selectedModelId: null,
    endpoint: recall('endpoint') ?? defaultEndpoint,
    accessToken: '',
    download: null,
    interruptedModelId: null,
    modelError: null,
    modelsRefreshed: async () => {
      try {
        const models = await client.request('models.list', {});
        const last = get().selectedModelId ?? recall('model');
        // Whoever has chosen nothing yet, or whose model is gone, can begin at once with the built-in one.
        const start = models.find(({ id }) => id === last) ?? models.find(({ isBuiltIn }) => isBuiltIn);
        takeIntoUse(models, start?.id ?? null);
        set({ modelsLoaded: true });
      } catch (error) {
        set({ modelsLoaded: true });
        reportError(context, 'The stored models could not be read', error);
      }
      await refreshStorage();
    },
    endpointEdited: (endpoint) => {
      remember('endpoint', endpoint === defaultEndpoint ? null : endpoint);
      set({ endpoint });
    },
    accessTokenEdited: (accessToken) => set({ accessToken }),
    modelDownloadRequested: async (id) => {
      if (get().download !== null) return;
      const { endpoint, accessToken } = get();
      controller = new AbortController();
      keepStorage();
      set({ download: { modelId: id, progress: null, cancelling: false }, modelError: null, interruptedModelId: null });
      try {
        const request = { id, endpoint, ...(accessToken === '' ? {} : { token: accessToken }) };
        const model = await client.request('models.download', request, { signal: controller.signal });
        set({ download: null });
        await get().modelsRefreshed();
        get().modelSelected(model.id);
        get().toastShown({ kind: 'success', title: 'Model ready', detail: model.id });
      } catch (error) {
        const interrupted = (get().download?.progress?.loadedBytes ?? 0) > 0 ? id : null;
        set({ download: null, interruptedModelId: interrupted });
        if (!isAborted(error)) set({ modelError: toPlainError(error) });
        await refreshStorage();
      }
    },
    modelDownloadCancelled: () => {
      controller?.abort();
      set(({ download }) => (download === null ? {} : { download: { ...download, cancelling: true } }));
    },
    modelSelected: (id) => {
      remember('model', id);
      takeIntoUse(get().models, id);
      set({ modelError: null });
    },
    modelDeleteConfirmed: async (id) => {
      try {
        await client.request('models.delete', { id });
        get().toastShown({ kind: 'info', title: 'Model deleted', detail: id });
      } catch (error) {
        reportError(context, 'The model could not be deleted', error);
      }
      await get().modelsRefreshed();
    },
  };
}

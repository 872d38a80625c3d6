/** The LoRA shelf: which LoRAs are plugged in and how strongly. Where their files lie is the worker's business. */
import { LoratoryError, toPlainError } from '../core/errors.ts';
import { isAborted } from '../worker/client.ts';
import type {
  DownloadProgress,
  HubSearchHit,
  LibraryLora,
  LoraSource,
  PluggedLora,
  StoredRun,
} from '../worker/protocol.ts';
import { plural } from './format.ts';
import { recall, remember } from './persisted.ts';
import { reportError, type SliceContext, type StudioState } from './slice.ts';

/** A LoRA on the shelf. */
export interface ShelfLora {
  /** Of the shelf: the same file may lie here at two steps of its training. */
  readonly key: string;
  readonly source: LoraSource;
  readonly enabled: boolean;
  readonly weight: number;
  /** Null: the same as `weight`. */
  readonly textEncoderWeight: number | null;
}

/** A repository of the Hub whose files are shown. */
export interface HubFiles {
  readonly id: string;
  readonly files: readonly { readonly path: string; readonly bytes: number }[] | null;
}

export interface ShelfSlice {
  readonly shelf: readonly ShelfLora[];
  /** Files that are kept in this browser, the latest first. */
  readonly library: readonly LibraryLora[];
  /** Steps that a run's adapter was kept after, by run. */
  readonly runSteps: Readonly<Record<string, readonly number[]>>;
  readonly addingLoras: boolean;
  readonly hubSearch: {
    readonly query: string;
    readonly searching: boolean;
    readonly hits: readonly HubSearchHit[] | null;
    readonly error: ReturnType<typeof toPlainError> | null;
    readonly open: HubFiles | null;
    readonly fetching: string | null;
    readonly progress: DownloadProgress | null;
  };
  readonly libraryRefreshed: () => Promise<void>;
  readonly loraPlugged: (source: LoraSource, weight?: number, textEncoderWeight?: number) => void;
  /** A run is to be tried: it is on the shelf, and the others are switched off. */
  readonly generateLoraChosen: (runId: string) => void;
  /** Puts these on the shelf and takes all others off, as a picture's settings say. */
  readonly shelfReplaced: (loras: readonly PluggedLora[]) => void;
  readonly loraUnplugged: (key: string) => void;
  readonly loraSwitched: (key: string, enabled: boolean) => void;
  readonly loraStepChosen: (key: string, globalStep: number | null) => void;
  /** Redraws with the same seed, a moment after the slider came to rest. */
  readonly loraWeightMoved: (key: string, weight: number) => void;
  readonly loraTextEncoderWeightMoved: (key: string, weight: number | null) => void;
  readonly loraFilesDropped: (files: readonly File[]) => Promise<void>;
  readonly libraryLoraRenamed: (id: string, name: string) => Promise<void>;
  readonly libraryLoraRemoved: (id: string) => Promise<void>;
  readonly runStepsNeeded: (runId: string) => Promise<void>;
  /** Asks the Hub: an id opens its files, other words search. */
  readonly hubSearched: (query: string) => Promise<void>;
  readonly hubRepositoryOpened: (id: string) => Promise<void>;
  /** Back to what the search found. */
  readonly hubRepositoryClosed: () => void;
  readonly hubLoraFetched: (id: string, path: string) => Promise<void>;
  readonly hubFetchCancelled: () => void;
}

/** A name for a source that is the same as long as it is the same file. */
export function sourceKey(source: LoraSource): string {
  return source.kind === 'file' ? `file ${source.loraId}` : `run ${source.runId} ${source.globalStep ?? 'latest'}`;
}

/** What a LoRA is called, as the worker writes it into pictures; null if it is not here any more. */
export function loraName(
  { runs, library }: { readonly runs: readonly StoredRun[]; readonly library: readonly LibraryLora[] },
  source: LoraSource,
): string | null {
  if (source.kind === 'file') return library.find(({ id }) => id === source.loraId)?.name ?? null;
  const name = runs.find(({ id }) => id === source.runId)?.name ?? null;
  return name === null || source.globalStep === undefined
    ? name
    : `${name}-${String(source.globalStep).padStart(6, '0')}`;
}

/** The shelf as a request has it; what is not here any more is left out. */
export function pluggedLoras(state: Pick<StudioState, 'shelf' | 'runs' | 'library'>): PluggedLora[] {
  return state.shelf
    .filter(({ source }) => loraName(state, source) !== null)
    .map(({ source, weight, textEncoderWeight, enabled }) => ({
      source,
      weight,
      ...(textEncoderWeight === null ? {} : { textEncoderWeight }),
      enabled,
    }));
}

/** What was remembered of the shelf; entries that an older version or another page left there in another form are passed over. */
function recallShelf(): ShelfLora[] {
  try {
    const stored: unknown = JSON.parse(recall('shelf') ?? '[]');
    return Array.isArray(stored) ? stored.flatMap((entry) => shelfLoraOf(entry) ?? []) : [];
  } catch {
    return [];
  }
}

function shelfLoraOf(entry: unknown): ShelfLora | null {
  if (!isRecord(entry)) return null;
  const { key, enabled, weight, textEncoderWeight } = entry;
  const source = sourceOf(entry['source']);
  if (source === null || typeof key !== 'string' || typeof enabled !== 'boolean') return null;
  if (!isWeight(weight) || !(textEncoderWeight === null || isWeight(textEncoderWeight))) return null;
  return { key, source, enabled, weight, textEncoderWeight };
}

function sourceOf(value: unknown): LoraSource | null {
  if (!isRecord(value)) return null;
  const { kind, loraId, runId, globalStep } = value;
  if (kind === 'file') return typeof loraId === 'string' ? { kind, loraId } : null;
  if (kind !== 'run' || typeof runId !== 'string') return null;
  if (globalStep === undefined) return { kind, runId };
  return Number.isInteger(globalStep) ? { kind, runId, globalStep: globalStep as number } : null;
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null;

const isWeight = (value: unknown): value is number => typeof value === 'number' && Number.isFinite(value);

const nothingFound: ShelfSlice['hubSearch'] = {
  query: '',
  searching: false,
  hits: null,
  error: null,
  open: null,
  fetching: null,
  progress: null,
};

export function createShelfSlice(context: SliceContext): ShelfSlice {
  const { client, set, get } = context;
  let fetching: AbortController | null = null;

  const setShelf = (shelf: readonly ShelfLora[]): void => {
    remember('shelf', shelf.length === 0 ? null : JSON.stringify(shelf));
    set({ shelf });
  };
  const change = (key: string, values: Partial<ShelfLora>): void => {
    setShelf(get().shelf.map((lora) => (lora.key === key ? { ...lora, ...values } : lora)));
    get().redrawWished();
  };
  const setHub = (values: Partial<ShelfSlice['hubSearch']>): void =>
    set(({ hubSearch }) => ({ hubSearch: { ...hubSearch, ...values } }));
  const hub = (): { endpoint: string; token?: string } => {
    const { endpoint, accessToken } = get();
    return { endpoint, ...(accessToken === '' ? {} : { token: accessToken }) };
  };
  const unplugged = (fits: (lora: ShelfLora) => boolean): void => setShelf(get().shelf.filter((lora) => !fits(lora)));

  return {
    shelf: recallShelf(),
    library: [],
    runSteps: {},
    addingLoras: false,
    hubSearch: nothingFound,
    libraryRefreshed: async () => {
      try {
        set({ library: await client.request('loras.list', {}) });
      } catch (error) {
        reportError(context, 'The LoRA library could not be read', error);
      }
    },
    loraPlugged: (source, weight = 1, textEncoderWeight) => {
      const { shelf } = get();
      const known = shelf.find((lora) => sourceKey(lora.source) === sourceKey(source));
      const lora: ShelfLora = {
        key: known?.key ?? crypto.randomUUID(),
        source,
        enabled: true,
        weight,
        textEncoderWeight: textEncoderWeight === undefined || textEncoderWeight === weight ? null : textEncoderWeight,
      };
      setShelf(known ? shelf.map((one) => (one === known ? lora : one)) : [...shelf, lora]);
    },
    generateLoraChosen: (runId) => {
      const key = sourceKey({ kind: 'run', runId });
      setShelf(get().shelf.map((lora) => ({ ...lora, enabled: sourceKey(lora.source) === key })));
      if (!get().shelf.some((lora) => sourceKey(lora.source) === key)) get().loraPlugged({ kind: 'run', runId });
    },
    shelfReplaced: (loras) =>
      setShelf(
        loras.map(({ source, weight, textEncoderWeight, enabled = true }) => ({
          key: crypto.randomUUID(),
          source,
          enabled,
          weight,
          textEncoderWeight: textEncoderWeight ?? null,
        })),
      ),
    loraUnplugged: (key) => {
      const { shelf } = get();
      const lora = shelf.find((one) => one.key === key);
      if (lora === undefined) return;
      unplugged((one) => one === lora);
      get().toastShown({
        kind: 'info',
        title: `“${loraName(get(), lora.source) ?? 'LoRA'}” taken off the shelf`,
        action: { label: 'Undo', run: () => setShelf([...get().shelf, lora]) },
      });
    },
    loraSwitched: (key, enabled) => change(key, { enabled }),
    loraStepChosen: (key, globalStep) => {
      const lora = get().shelf.find((one) => one.key === key);
      if (lora?.source.kind !== 'run') return;
      const { runId } = lora.source;
      change(key, { source: { kind: 'run', runId, ...(globalStep === null ? {} : { globalStep }) } });
    },
    loraWeightMoved: (key, weight) => change(key, { weight }),
    loraTextEncoderWeightMoved: (key, textEncoderWeight) => change(key, { textEncoderWeight }),
    loraFilesDropped: async (files) => {
      if (files.length === 0) return;
      set({ addingLoras: true });
      try {
        const { added, refused } = await client.request('loras.add', { files });
        await get().libraryRefreshed();
        for (const { id } of added) get().loraPlugged({ kind: 'file', loraId: id });
        for (const { error } of refused)
          get().toastShown({
            kind: 'error',
            title: 'A file was not taken',
            detail: `${error.message} ${error.remedy}`,
          });
        const partly = added.filter(({ about }) => about.unmatched.length > 0).length;
        if (partly > 0)
          get().toastShown({
            kind: 'info',
            title: `${plural(partly, 'file matches', 'files match')} the model only in part`,
            detail: 'The card on the shelf lists what did not match.',
          });
      } catch (error) {
        reportError(context, 'The LoRA could not be added', error);
      } finally {
        set({ addingLoras: false });
      }
    },
    libraryLoraRenamed: async (id, name) => {
      set(({ library }) => ({ library: library.map((lora) => (lora.id === id ? { ...lora, name } : lora)) }));
      try {
        await client.request('loras.rename', { id, name });
      } catch (error) {
        reportError(context, 'The LoRA could not be renamed', error);
        await get().libraryRefreshed();
      }
    },
    libraryLoraRemoved: async (id) => {
      const { library, shelf } = get();
      const lora = library.find((one) => one.id === id);
      if (lora === undefined) return;
      const isIt = ({ source }: ShelfLora): boolean => source.kind === 'file' && source.loraId === id;
      const plugged = shelf.filter(isIt);
      unplugged(isIt);
      set({ library: library.filter((one) => one !== lora) });
      try {
        await client.request('loras.remove', { ids: [id] });
        const undo = async (): Promise<void> => {
          await client.request('loras.restore', { ids: [id] });
          await get().libraryRefreshed();
          setShelf([...get().shelf, ...plugged]);
        };
        get().toastShown({
          kind: 'info',
          title: `“${lora.name}” removed from this browser`,
          action: {
            label: 'Undo',
            run: () =>
              void undo().catch((error: unknown) => reportError(context, 'It could not be brought back', error)),
          },
        });
      } catch (error) {
        reportError(context, 'The LoRA could not be removed', error);
        await get().libraryRefreshed();
      }
    },
    runStepsNeeded: async (runId) => {
      try {
        const steps = await client.request('runs.steps', { runId });
        set(({ runSteps }) => ({ runSteps: { ...runSteps, [runId]: steps } }));
      } catch {
        // Then only the latest can be chosen.
      }
    },
    hubSearched: async (query) => {
      const text = query.trim();
      if (text === '') return;
      if (/^(https?:\/\/\S+|[\w.-]+\/[\w.-]+)$/.test(text)) {
        setHub({ ...nothingFound, query: text });
        await get().hubRepositoryOpened(
          text.replace(/^https?:\/\/[^/]+\//, '').replace(/\/(tree|blob|resolve)\/.*$/, ''),
        );
        return;
      }
      setHub({ ...nothingFound, query: text, searching: true });
      try {
        setHub({ hits: await client.request('loras.search', { query: text, ...hub(), limit: 20 }) });
      } catch (error) {
        setHub({ error: toPlainError(error) });
      } finally {
        setHub({ searching: false });
      }
    },
    hubRepositoryOpened: async (id) => {
      setHub({ open: { id, files: null }, error: null });
      try {
        const files = await client.request('loras.hubFiles', { id, ...hub() });
        setHub({ open: { id, files } });
        if (files.length === 0) setHub({ error: toPlainError(new NoLoraFilesError(id)) });
      } catch (error) {
        setHub({ open: null, error: toPlainError(error) });
      }
    },
    hubRepositoryClosed: () => setHub({ open: null, error: null }),
    hubLoraFetched: async (id, path) => {
      fetching = new AbortController();
      setHub({ fetching: path, progress: null, error: null });
      try {
        const lora = await client.request(
          'loras.addFromHub',
          { id, path, ...hub() },
          { signal: fetching.signal, on: { 'download.progress': (progress) => setHub({ progress }) } },
        );
        await get().libraryRefreshed();
        get().loraPlugged({ kind: 'file', loraId: lora.id });
        get().toastShown({ kind: 'success', title: `“${lora.name}” is on the shelf`, detail: `${id}/${path}` });
      } catch (error) {
        if (!isAborted(error)) setHub({ error: toPlainError(error) });
      } finally {
        setHub({ fetching: null, progress: null });
      }
    },
    hubFetchCancelled: () => fetching?.abort(),
  };
}

/** A repository of the Hub holds no LoRA. */
class NoLoraFilesError extends LoratoryError {
  readonly code = 'no-lora-files';

  constructor(id: string) {
    super(
      `${id} holds no .safetensors file that may be a LoRA.`,
      'Choose another repository; pickled files (.bin, .pt) are never opened.',
      { id },
    );
  }
}

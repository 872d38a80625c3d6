/** LoRA files as files: looked at, exported, converted, resized, merged, baked. Long work shows its progress and can be cancelled. */
import { type PlainError, toPlainError } from '../core/errors.ts';
import { isAborted } from '../worker/client.ts';
import type {
  BakeOptions,
  LoraCombined,
  LoraInput,
  LoraReport,
  LoraWriteOptions,
  LoraWritten,
  RequestType,
  Requests,
  WeightedLoraInput,
} from '../worker/protocol.ts';
import { saveBlob } from './saveBlob.ts';
import { loraName, sourceKey } from './shelf.ts';
import type { SliceContext, StudioState } from './slice.ts';

/** A file that was dropped in to be looked at; it is kept nowhere. */
export interface DroppedLora {
  readonly id: string;
  readonly file: File;
  readonly config: File | null;
}

/** Something that can be looked at and worked on. */
export interface ToolLora {
  readonly key: string;
  readonly name: string;
  readonly kind: 'run' | 'file' | 'dropped';
  readonly input: LoraInput;
}

export interface ToolJob {
  readonly title: string;
  readonly startedAt: number;
  readonly fraction: number | null;
  readonly etaSeconds: number | null;
  readonly detail: string;
}

export interface WriteWatch {
  readonly signal: AbortSignal;
  /** The share that is done, 0..1. */
  readonly onProgress: (fraction: number) => void;
}

export interface LoraToolsSlice {
  readonly droppedLoras: readonly DroppedLora[];
  /** By {@link ToolLora.key}: what the file says, or why it says nothing; absent until it was asked for. */
  readonly toolReports: Readonly<Record<string, LoraReport | PlainError>>;
  /** What the Export room shows; null means the newest run. */
  readonly selectedLoraKey: string | null;
  readonly toolJob: ToolJob | null;
  readonly loraSelected: (key: string) => void;
  readonly loraFilesInspected: (files: readonly File[]) => void;
  readonly droppedLoraClosed: (id: string) => void;
  readonly toolReportNeeded: (lora: Pick<ToolLora, 'key' | 'input'>) => Promise<void>;
  /** What is written, and who will take it. Rejects with what is wrong, or when it is aborted. */
  readonly loraWritten: (input: LoraInput, options: LoraWriteOptions, watch: WriteWatch) => Promise<LoraWritten>;
  /** These answer null when they were cancelled, and reject with what went wrong. */
  readonly loraResized: (input: LoraInput, rank: number, options: LoraWriteOptions) => Promise<LoraCombined | null>;
  readonly lorasMerged: (
    loras: readonly WeightedLoraInput[],
    rank: number | null,
    title: string,
    options: LoraWriteOptions,
  ) => Promise<LoraCombined | null>;
  readonly lorasBaked: (options: BakeOptions) => Promise<boolean>;
  readonly toolCancelled: () => void;
}

/** Everything that tools can be used on: runs, files of the library, files that were dropped in; each newest first. */
export function toolLoras(state: Pick<StudioState, 'runs' | 'library' | 'droppedLoras'>): ToolLora[] {
  const kept = [
    ...state.runs
      .filter(({ globalStep }) => globalStep > 0)
      .map(({ id }) => ({ kind: 'run' as const, input: { kind: 'run' as const, runId: id } })),
    ...state.library.map(({ id }) => ({ kind: 'file' as const, input: { kind: 'file' as const, loraId: id } })),
  ].map(({ kind, input }) => ({ kind, input, key: sourceKey(input), name: loraName(state, input) ?? '' }));
  const dropped = state.droppedLoras.map(({ id, file, config }): ToolLora => ({
    key: `dropped ${id}`,
    name: file.name.replace(/\.safetensors$/i, ''),
    kind: 'dropped',
    input: { kind: 'dropped', file, ...(config === null ? {} : { config }) },
  }));
  return [...kept, ...dropped];
}

/** True for a report, false for an error that stands in its place. */
export function isReport(report: LoraReport | PlainError): report is LoraReport {
  return 'description' in report;
}

export function createLoraToolsSlice(context: SliceContext): LoraToolsSlice {
  const { client, set, get } = context;
  let controller: AbortController | null = null;
  /** What each report was asked for: a run's file is another after more training. */
  const asked = new Map<string, number | null>();

  /** Runs a long request under the one progress bar; null if it was cancelled. */
  const run = async <T extends RequestType>(
    title: string,
    type: T,
    payload: Requests[T][0],
  ): Promise<Requests[T][1] | null> => {
    controller?.abort();
    const own = new AbortController();
    controller = own;
    const startedAt = Date.now();
    set({ toolJob: { title, startedAt, fraction: null, etaSeconds: null, detail: '' } });
    try {
      return await client.request(type, payload, {
        signal: own.signal,
        on: {
          'lora.progress': (progress) => {
            if (controller === own) set({ toolJob: { title, startedAt, ...progress } });
          },
        },
      });
    } catch (error) {
      if (isAborted(error)) return null;
      throw error;
    } finally {
      // Another may have begun, which is what ended this one.
      if (controller === own) set({ toolJob: null });
    }
  };

  return {
    droppedLoras: [],
    toolReports: {},
    selectedLoraKey: null,
    toolJob: null,
    loraSelected: (key) => {
      const lora = toolLoras(get()).find((one) => one.key === key);
      set({ selectedLoraKey: key });
      if (lora?.input.kind === 'run') get().runSelected(lora.input.runId);
    },
    loraFilesInspected: (files) => {
      // PEFT's two files belong together.
      const config = files.find(({ name }) => name === 'adapter_config.json') ?? null;
      const loras = files
        .filter((file) => file !== config)
        .map((file): DroppedLora => ({ id: crypto.randomUUID(), file, config }));
      const [first] = loras;
      if (first === undefined) return;
      set(({ droppedLoras }) => ({ droppedLoras: [...loras, ...droppedLoras] }));
      get().loraSelected(`dropped ${first.id}`);
    },
    droppedLoraClosed: (id) =>
      set(({ droppedLoras, selectedLoraKey }) => ({
        droppedLoras: droppedLoras.filter((lora) => lora.id !== id),
        selectedLoraKey: selectedLoraKey === `dropped ${id}` ? null : selectedLoraKey,
      })),
    toolReportNeeded: async ({ key, input }) => {
      const trained = input.kind === 'run' ? get().runs.find(({ id }) => id === input.runId) : undefined;
      const version = trained?.globalStep ?? null;
      if (asked.has(key) && asked.get(key) === version) return;
      asked.set(key, version);
      const report = await client.request('lora.report', { input }).catch(toPlainError);
      set(({ toolReports }) => ({ toolReports: { ...toolReports, [key]: report } }));
    },
    loraWritten: (input, options, { signal, onProgress }) =>
      client.request(
        'lora.write',
        { input, options },
        { signal, on: { 'lora.progress': ({ fraction }) => onProgress(fraction) } },
      ),
    loraResized: (input, rank, options) => run('Resizing', 'lora.resize', { input, rank, options }),
    lorasMerged: (loras, rank, title, options) => run('Merging', 'lora.merge', { loras, rank, title, options }),
    lorasBaked: async (options) => {
      const baked = await run('Baking', 'lora.bake', options);
      if (baked !== null) saveBlob(baked.blob, baked.fileName);
      return baked !== null;
    },
    toolCancelled: () => controller?.abort(),
  };
}

/** How the slices of the studio's state fit together. */
import { type PlainError, toPlainError } from '../core/errors.ts';
import type { StudioClient } from '../worker/client.ts';
import type { DatasetSlice } from './dataset.ts';
import type { EmbeddingsSlice } from './embeddings.ts';
import type { FullQualitySlice } from './fullQuality.ts';
import type { GallerySlice } from './gallery.ts';
import type { GenerateSlice } from './generate.ts';
import type { GpuSlice } from './gpu.ts';
import type { LiveRunSlice } from './liveRun.ts';
import type { LoraToolsSlice } from './loraTools.ts';
import type { InterchangeSlice } from './interchange.ts';
import type { ModelSlice } from './model.ts';
import type { PresetsSlice } from './presets.ts';
import type { PlotSlice } from './plot.ts';
import type { PreviewDecoderSlice } from './previewDecoder.ts';
import type { PreflightSlice } from './preflight.ts';
import type { PromptCountSlice } from './promptCount.ts';
import type { RestoreSlice } from './restore.ts';
import type { RunRecordsSlice } from './runRecords.ts';
import type { RunsSlice } from './runs.ts';
import type { SamplesSlice } from './samples.ts';
import type { SettingsSlice } from './settings.ts';
import type { ShelfSlice } from './shelf.ts';
import type { ToastSlice } from './toasts.ts';
import type { TrainingSlice } from './training.ts';

export interface StudioState
  extends
    GpuSlice,
    ModelSlice,
    DatasetSlice,
    SamplesSlice,
    TrainingSlice,
    LiveRunSlice,
    PreflightSlice,
    PresetsSlice,
    InterchangeSlice,
    RunsSlice,
    RunRecordsSlice,
    ShelfSlice,
    EmbeddingsSlice,
    GenerateSlice,
    GallerySlice,
    FullQualitySlice,
    PreviewDecoderSlice,
    RestoreSlice,
    PlotSlice,
    LoraToolsSlice,
    PromptCountSlice,
    ToastSlice,
    SettingsSlice {}

/** What a slice is made from. */
export interface SliceContext {
  readonly client: StudioClient;
  readonly set: (partial: Partial<StudioState> | ((state: StudioState) => Partial<StudioState>)) => void;
  readonly get: () => StudioState;
}

/** Shows an error that belongs to no field: a toast with message and remedy. */
export function reportError(context: SliceContext, title: string, error: unknown): PlainError {
  const plain = toPlainError(error);
  context.get().toastShown({ kind: 'error', title, detail: [plain.message, plain.remedy].filter(Boolean).join(' ') });
  return plain;
}

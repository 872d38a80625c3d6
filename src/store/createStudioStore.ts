/** The studio's state: every slice over one client. Actions are named as what happened. */
import { createStore, type StoreApi } from 'zustand/vanilla';
import type { StudioClient } from '../worker/client.ts';
import { createDatasetSlice } from './dataset.ts';
import { createEmbeddingsSlice } from './embeddings.ts';
import { createFullQualitySlice } from './fullQuality.ts';
import { createGallerySlice } from './gallery.ts';
import { createGenerateSlice } from './generate.ts';
import { createGpuSlice } from './gpu.ts';
import { createLiveRunSlice } from './liveRun.ts';
import { createLoraToolsSlice } from './loraTools.ts';
import { createInterchangeSlice } from './interchange.ts';
import { createModelSlice } from './model.ts';
import { createPreviewDecoderSlice } from './previewDecoder.ts';
import { createPreflightSlice } from './preflight.ts';
import { createPresetsSlice } from './presets.ts';
import { createPlotSlice } from './plot.ts';
import { createPromptCountSlice } from './promptCount.ts';
import { createRestoreSlice } from './restore.ts';
import { createRunRecordsSlice } from './runRecords.ts';
import { createRunsSlice } from './runs.ts';
import { createSamplesSlice } from './samples.ts';
import { createSettingsSlice } from './settings.ts';
import { createShelfSlice } from './shelf.ts';
import type { SliceContext, StudioState } from './slice.ts';
import { createToastSlice } from './toasts.ts';
import { createTrainingSlice } from './training.ts';

export type StudioStore = StoreApi<StudioState>;

export function createStudioStore(client: StudioClient): StudioStore {
  return createStore<StudioState>()((set, get) => {
    const context: SliceContext = { client, set, get };
    return {
      ...createToastSlice(context),
      ...createSettingsSlice(context),
      ...createGpuSlice(context),
      ...createModelSlice(context),
      ...createDatasetSlice(context),
      ...createSamplesSlice(context),
      ...createPresetsSlice(context),
      ...createInterchangeSlice(context),
      ...createTrainingSlice(context),
      ...createLiveRunSlice(context),
      ...createPreflightSlice(context),
      ...createRunsSlice(context),
      ...createRunRecordsSlice(context),
      ...createShelfSlice(context),
      ...createEmbeddingsSlice(context),
      ...createGenerateSlice(context),
      ...createGallerySlice(context),
      ...createFullQualitySlice(context),
      ...createPreviewDecoderSlice(context),
      ...createRestoreSlice(context),
      ...createPlotSlice(context),
      ...createLoraToolsSlice(context),
      ...createPromptCountSlice(context),
    };
  });
}

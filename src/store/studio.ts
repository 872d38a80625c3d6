/** The one place where the studio worker is started. */
import { createStudioClient } from '../worker/client.ts';
import { createStudioStore, type StudioStore } from './createStudioStore.ts';

/** Starts the engine and makes the store over it. Call once. */
export function openStudio(): StudioStore {
  const worker = new Worker(new URL('../worker/studio.worker.ts', import.meta.url), { type: 'module' });
  return createStudioStore(createStudioClient(worker));
}

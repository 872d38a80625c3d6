/** The GPU and the engine: whether they are there, and whether they still are. */
import { type PlainError, toPlainError } from '../core/errors.ts';
import type { GpuInfo } from '../worker/protocol.ts';
import type { SliceContext } from './slice.ts';

export type GpuState =
  | { readonly status: 'opening' }
  | { readonly status: 'ready'; readonly info: GpuInfo }
  | { readonly status: 'unavailable'; readonly error: PlainError };

/** Whether the GPU computes in 16 bits; true while it is not known. */
export function hasHalfPrecision({ gpu }: { readonly gpu: GpuState }): boolean {
  return gpu.status !== 'ready' || gpu.info.shaderF16;
}

export interface GpuSlice {
  readonly gpu: GpuState;
  /** Why the engine must be reloaded: the GPU was lost or the worker crashed. */
  readonly engineLost: PlainError | null;
  /** The person wants to look around without a GPU. */
  readonly gpuGateDismissed: boolean;
  /** Opens the GPU and reads what this browser keeps. Call once. */
  readonly studioOpened: () => Promise<void>;
  readonly gpuGateClosed: () => void;
}

export function createGpuSlice(context: SliceContext): GpuSlice {
  const { client, set, get } = context;
  client.on('gpu.lost', (error) => set({ engineLost: error }));
  client.onCrash((error) => set({ engineLost: toPlainError(error) }));
  return {
    gpu: { status: 'opening' },
    engineLost: null,
    gpuGateDismissed: false,
    studioOpened: async () => {
      const open = client.request('gpu.open', {}).then(
        (info) => set({ gpu: { status: 'ready', info } }),
        (error: unknown) => {
          const plain = toPlainError(error);
          // A crashed engine has its own banner; it says nothing about WebGPU.
          if (plain.code !== 'worker-crashed') set({ gpu: { status: 'unavailable', error: plain } });
        },
      );
      await Promise.all([
        open,
        get().modelsRefreshed(),
        get().datasetRefreshed(),
        get().runsRefreshed(),
        get().queueRefreshed(),
      ]);
    },
    gpuGateClosed: () => set({ gpuGateDismissed: true }),
  };
}

/**
 * The loading part: how far JavaScript's memory grows while the parts of a full-size model are read from disk and given to the GPU, on Dawn's
 * null backend. A part's weights are gigabytes; JavaScript must only ever hold the few tensors that are on their way.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { folderTree } from '../src/cli/nodeFiles.ts';
import { invariant } from '../src/core/invariant.ts';
import { trimMemory } from '../src/gpu/ops.ts';
import { type LoadProgress, openDiffusionModel } from '../src/models/repository.ts';
import { openNullGpu } from './nodeGpu.ts';
import { formatTable, megabytes } from './table.ts';

export interface LoadingReport {
  readonly part: string;
  /** Of the part's weights on the GPU. */
  readonly gpuBytes: number;
  /** The most that heap and array buffers held above what they held before, garbage included. */
  readonly peakBytes: number;
  /** What they hold more than before once the part is freed and garbage is collected. */
  readonly leftBytes: number;
}

/** What we promise of {@link LoadingReport.peakBytes}. */
const mostBytes = 300e6;

/** Loads every part of the model in `folder`, one after the other. Needs a process of its own, with `--expose-gc`. */
export async function benchLoading(folder: string): Promise<LoadingReport[]> {
  const { runtime } = await openNullGpu();
  const model = await openDiffusionModel(await folderTree(folder));
  const parts: [string, (onProgress: LoadProgress) => Promise<{ dispose(): void }>][] = [
    ['text encoder', (onProgress) => model.loadTextEncoder(onProgress)],
    ['image encoder', (onProgress) => model.loadVae({ encoder: true, decoder: false }, onProgress)],
    ['UNet, weights f16', (onProgress) => model.loadUNet(onProgress, 'f16')],
    ['UNet, weights int8', (onProgress) => model.loadUNet(onProgress, 'int8')],
    ['image decoder', (onProgress) => model.loadVae({ encoder: false, decoder: true }, onProgress)],
  ];
  const reports: LoadingReport[] = [];
  for (const [part, load] of parts) {
    const before = await idleBytes();
    const gpuBefore = runtime.counters.liveBytes;
    let peak = before;
    const look = (): void => {
      peak = Math.max(peak, heldBytes());
    };
    const timer = setInterval(look, 5);
    const loaded = await load(look);
    clearInterval(timer);
    look();
    const gpuBytes = runtime.counters.liveBytes - gpuBefore;
    loaded.dispose();
    trimMemory();
    reports.push({ part, gpuBytes, peakBytes: peak - before, leftBytes: (await idleBytes()) - before });
  }
  return reports;
}

function heldBytes(): number {
  const { heapUsed, external } = process.memoryUsage();
  // Array buffers are counted among what is external.
  return heapUsed + external;
}

async function idleBytes(): Promise<number> {
  invariant(globalThis.gc, 'Node runs with --expose-gc');
  // What was freed is let go by finalizers, which come after a collection.
  for (let i = 0; i < 3; i++) {
    globalThis.gc();
    await delay(20);
  }
  return heldBytes();
}

export function loadingTable(reports: readonly LoadingReport[]): string {
  return formatTable(
    ['loading', 'weights', 'JavaScript, peak', 'at most', 'left when freed'],
    reports.map(({ part, gpuBytes, peakBytes, leftBytes }) => [
      part,
      megabytes(gpuBytes),
      megabytes(peakBytes),
      megabytes(mostBytes),
      megabytes(leftBytes),
    ]),
  );
}

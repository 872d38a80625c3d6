/** Milliseconds on the GPU's own clock where it has one, else from an idle GPU to an idle GPU; the median of several rounds. */
import { finishGpuWork, tidy, type Tensor } from '../src/gpu/ops.ts';
import { dispatchesPerPass, timeOnGpu } from '../src/gpu/runtime.ts';
import type { DispatchCounts } from './dispatchCounts.ts';

export interface GpuTime {
  readonly ms: number;
  /** Whether `ms` is from timestamps: JavaScript and waiting are not in it. */
  readonly byTimestamps: boolean;
  readonly dispatches: number;
}

const rounds = 5;
/** What is quick is repeated for about so long in one pass, so that the clock's steps do not matter. */
const msPerRound = 20;

/** Times what `f` records. Its results are freed. */
export async function gpuTime(f: () => Tensor[], counts: DispatchCounts): Promise<GpuTime> {
  const once = (): void =>
    tidy(() => {
      f();
    });
  // Compiles, and shows how many dispatches fit one pass.
  once();
  await finishGpuWork();
  counts.reset();
  once();
  await finishGpuWork();
  const dispatches = Math.max(1, counts.total);
  const first = await time(once, 1);
  const repetitions = Math.max(
    1,
    Math.min(Math.floor(dispatchesPerPass / dispatches), Math.round(msPerRound / Math.max(first.ms, 0.01))),
  );
  const all = [];
  for (let round = 0; round < rounds; round++) all.push((await time(once, repetitions)).ms);
  return { ms: median(all), byTimestamps: first.byTimestamps, dispatches };
}

async function time(once: () => void, repetitions: number): Promise<{ ms: number; byTimestamps: boolean }> {
  const work = (): void => {
    for (let i = 0; i < repetitions; i++) once();
  };
  await finishGpuWork();
  const nanoseconds = await timeOnGpu(work);
  if (nanoseconds !== null && nanoseconds > 0) return { ms: nanoseconds / 1e6 / repetitions, byTimestamps: true };
  await finishGpuWork();
  const started = performance.now();
  work();
  await finishGpuWork();
  return { ms: (performance.now() - started) / repetitions, byTimestamps: false };
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** The `hot` part: every hot kernel at SD1.5's shapes on the GPU's own clock, as a share of what the GPU can do at the best. */
import { invariant } from '../src/core/invariant.ts';
import { tileTuner } from '../src/gpu/kernels/tileTuner.ts';
import { tensorCount, trimMemory, type Tensor } from '../src/gpu/ops.ts';
import { withPrecision, type Precision } from '../src/gpu/precision.ts';
import { runtime } from '../src/gpu/runtime.ts';
import { resetPeak } from '../src/gpu/memory.ts';
import type { TunedChoice } from '../src/gpu/tuner.ts';
import { measureCeilings, type Ceilings } from './ceilings/ceilings.ts';
import { tuneCase, type BenchGpu } from './gpu.ts';
import { gpuTime } from './gpuTime.ts';
import { hotCases } from './kernels/hot.ts';
import { modelSizes } from './kernels/inputs.ts';
import { formatMarkdown, formatTable } from './table.ts';

export interface HotKernel {
  readonly name: string;
  readonly shape: string;
  readonly ms: number;
  readonly byTimestamps: boolean;
  readonly dispatches: number;
  /** 10^12 floating-point operations a second; null where memory is what counts. */
  readonly teraFlops: number | null;
  readonly gigabytesPerSecond: number;
  /** Of the ceiling that stands nearer, the f32 one for arithmetic: 1 is all that the GPU can do, but for products in f16. */
  readonly share: number;
  readonly peakBytes: number;
  /** Of its matrix products, where tiles were chosen by timing. */
  readonly tiles: readonly TunedChoice[];
}

export interface HotReport {
  readonly ceilings: Ceilings;
  readonly kernels: readonly HotKernel[];
}

export interface HotOptions {
  /** 1 is SD1.5 at 512 px. */
  readonly scale: number;
  readonly only?: string;
  /** Of products; f32, if not given. */
  readonly precision?: Precision;
  readonly onCase?: (name: string) => void;
}

export async function benchHot(
  { dispatches }: BenchGpu,
  { scale, only = '', precision = 'f32', onCase }: HotOptions,
): Promise<HotReport> {
  onCase?.('ceilings');
  const ceilings = await measureCeilings(dispatches, scale >= 1 ? 1 : scale / 16);
  const kernels: HotKernel[] = [];
  for (const make of hotCases(modelSizes(scale))) {
    const before = tensorCount();
    const test = withPrecision(precision, make);
    try {
      if (!test.name.toLowerCase().includes(only.toLowerCase())) continue;
      onCase?.(`${test.name} ${test.shape}`);
      const known = tileTuner()?.choices().length;
      const ours = (): Tensor[] => withPrecision(precision, () => test.ours());
      await tuneCase(ours);
      const tiles = tileTuner()?.choices().slice(known) ?? [];
      resetPeak(runtime().counters);
      const time = await gpuTime(ours, dispatches);
      const teraFlops = test.flop === undefined ? null : test.flop / time.ms / 1e9;
      const gigabytesPerSecond = test.bytes / time.ms / 1e6;
      kernels.push({
        name: test.name,
        shape: test.shape,
        ...time,
        teraFlops,
        gigabytesPerSecond,
        share: Math.max((teraFlops ?? 0) / ceilings.f32TeraFlops, gigabytesPerSecond / ceilings.gigabytesPerSecond),
        peakBytes: runtime().counters.peakBytes,
        tiles,
      });
    } finally {
      test.dispose();
      trimMemory();
    }
    invariant(tensorCount() === before, `${test.name}: the case leaks tensors`);
  }
  return { ceilings, kernels };
}

const head = ['kernel', 'shape', 'ms', 'TFLOP/s', 'GB/s', 'of the ceiling', 'dispatches', 'peak MB', 'tile, gain'];

function cells({ name, shape, ms, byTimestamps, ...kernel }: HotKernel): string[] {
  return [
    name,
    shape,
    `${byTimestamps ? '' : '~'}${ms.toPrecision(3)}`,
    kernel.teraFlops?.toPrecision(3) ?? '',
    kernel.gigabytesPerSecond.toPrecision(3),
    `${(kernel.share * 100).toFixed(0)} %`,
    String(kernel.dispatches),
    (kernel.peakBytes / 1e6).toFixed(0),
    kernel.tiles.map(({ choice, gain }) => `${choice}, ${gain?.toFixed(2) ?? ''}`).join('; '),
  ];
}

export function ceilingsLine({ f32TeraFlops, f16TeraFlops, gigabytesPerSecond }: Ceilings): string {
  const f16 = f16TeraFlops === null ? '' : `${f16TeraFlops.toPrecision(3)} TFLOP/s in f16, `;
  return `Ceilings: ${f32TeraFlops.toPrecision(3)} TFLOP/s in f32, ${f16}${gigabytesPerSecond.toPrecision(3)} GB/s copied.`;
}

/** For a terminal. `~` before a time: without timestamps, JavaScript included. */
export function hotTable({ kernels }: HotReport): string {
  return formatTable(head, kernels.map(cells));
}

/** For docs/benchmarks.md. */
export function hotMarkdown({ kernels }: HotReport): string {
  return formatMarkdown(head, kernels.map(cells), 2);
}

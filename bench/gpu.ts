/** The GPU for benchmarks: the product's device and runtime, with every dispatch counted by kernel. */
import { openDevice } from '../src/gpu/device.ts';
import { startTileTuner, tileTuner } from '../src/gpu/kernels/tileTuner.ts';
import { finishGpuWork, tidy, type Tensor } from '../src/gpu/ops.ts';
import { startRuntime, type Runtime } from '../src/gpu/runtime.ts';
import { countDispatches, type DispatchCounts } from './dispatchCounts.ts';
import { timePasses, type PassTimes } from './passTimes.ts';

export interface BenchGpu {
  readonly runtime: Runtime;
  readonly dispatches: DispatchCounts;
  readonly passTimes: PassTimes;
}

/** How tiles are chosen: by timing on real GPUs, as in the product; on software GPUs, too; or not at all. */
export type Tuning = 'usual' | 'always' | 'never';

/** Opens a GPU: `navigator.gpu`'s, or {@link openNodeGpu}'s. Once a page or process, for tfjs' engine is global. */
export async function openBenchGpu(
  gpu: GPU | undefined,
  { tuning = 'usual', prepare }: { readonly tuning?: Tuning; readonly prepare?: (device: GPUDevice) => void } = {},
): Promise<BenchGpu> {
  const opened = await openDevice(gpu);
  prepare?.(opened.device);
  const dispatches = countDispatches(opened.device);
  const passTimes = timePasses(opened.device);
  const runtime = await startRuntime(opened);
  if (tuning !== 'never') startTileTuner({ onSoftware: tuning === 'always', budgetMs: Infinity, share: 1e6 });
  return { runtime, dispatches, passTimes };
}

/** Does `work` until its tiles are chosen, so that what is timed afterwards is what a run comes to. */
export async function tuneFor(work: () => Promise<void>): Promise<void> {
  await tileTuner()?.exhaust(work);
}

/** The same for what a case records; its results are freed. */
export async function tuneCase(record: () => Tensor[]): Promise<void> {
  await tuneFor(async () => {
    tidy(() => {
      record();
    });
    await finishGpuWork();
  });
}

/** Name and features of the GPU, for the head of a report. */
export function describeGpu({ opened, device, shaderF16 }: Runtime): string {
  const { vendor, architecture, description } = opened.adapterInfo;
  const name = [description, vendor, architecture].find((part) => part !== '') ?? 'unnamed';
  const features = [...device.features].filter((feature) =>
    ['shader-f16', 'subgroups', 'timestamp-query', 'chromium-experimental-subgroup-matrix'].includes(feature),
  );
  return `${name}${opened.isSoftware ? ' (software)' : ''}; features: ${features.sort().join(', ') || 'none'}; f16 ${shaderF16 ? 'native' : 'unpacked by hand'}`;
}

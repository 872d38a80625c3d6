/** The GPU for benchmarks: the product's device and runtime, with every dispatch counted by kernel. */
import { openDevice } from '../src/gpu/device.ts';
import { startRuntime, type Runtime } from '../src/gpu/runtime.ts';
import { countDispatches, type DispatchCounts } from './dispatchCounts.ts';
import { timePasses, type PassTimes } from './passTimes.ts';

export interface BenchGpu {
  readonly runtime: Runtime;
  readonly dispatches: DispatchCounts;
  readonly passTimes: PassTimes;
}

/** Opens a GPU: `navigator.gpu`'s, or {@link openNodeGpu}'s. Once a page or process, for tfjs' engine is global. */
export async function openBenchGpu(gpu: GPU | undefined, prepare?: (device: GPUDevice) => void): Promise<BenchGpu> {
  const opened = await openDevice(gpu);
  prepare?.(opened.device);
  const dispatches = countDispatches(opened.device);
  const passTimes = timePasses(opened.device);
  return { runtime: await startRuntime(opened), dispatches, passTimes };
}

/** Name and features of the GPU, for the head of a report. */
export function describeGpu({ opened, device, shaderF16 }: Runtime): string {
  const { vendor, architecture, description } = opened.adapterInfo;
  const name = [description, vendor, architecture].find((part) => part !== '') ?? 'unnamed';
  const features = [...device.features].filter((feature) =>
    ['shader-f16', 'subgroups', 'timestamp-query'].includes(feature),
  );
  return `${name}${opened.isSoftware ? ' (software)' : ''}; features: ${features.sort().join(', ') || 'none'}; f16 ${shaderF16 ? 'native' : 'unpacked by hand'}`;
}

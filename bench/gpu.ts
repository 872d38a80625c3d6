/** The GPU for benchmarks: the product's device and runtime, with every dispatch counted by kernel. */
import { provideWebGpu } from '../src/cli/nodeGpu.ts';
import { openDevice } from '../src/gpu/device.ts';
import { startRuntime, type Runtime } from '../src/gpu/runtime.ts';
import { countDispatches, type DispatchCounts } from './dispatchCounts.ts';
import { shrinkBuffers } from './shrunkBuffers.ts';

export interface BenchGpu {
  readonly runtime: Runtime;
  readonly dispatches: DispatchCounts;
}

/** Opens the GPU that Node finds. Once a process: tfjs' engine and Dawn are global. */
export async function openBenchGpu(): Promise<BenchGpu> {
  return start(await provideWebGpu());
}

/** Dawn's null backend, which validates all commands and runs none, with buffers that only claim their sizes. */
export async function openNullGpu(): Promise<BenchGpu> {
  return start(await provideWebGpu(['backend=null']), shrinkBuffers);
}

async function start(gpu: GPU, prepare?: (device: GPUDevice) => void): Promise<BenchGpu> {
  const opened = await openDevice(gpu);
  prepare?.(opened.device);
  const dispatches = countDispatches(opened.device);
  return { runtime: await startRuntime(opened), dispatches };
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

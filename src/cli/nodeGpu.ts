/** WebGPU in Node: Dawn from npm `webgpu`, or the library that DAWN_NODE names (for machines without node_modules). */
import { createRequire } from 'node:module';
import { openDevice } from '../gpu/device.ts';
import { startTileTuner } from '../gpu/kernels/tileTuner.ts';
import { startRuntime, stopRuntime, type Runtime } from '../gpu/runtime.ts';
import { tileFile } from './tileFile.ts';

interface Dawn {
  create(options: string[]): GPU;
  readonly globals: Record<string, unknown>;
}

/** Kept for ever: Dawn crashes at exit if its root object is collected before its devices. */
let gpu: GPU | undefined;

/** Offers what is an experiment yet, above all units for small matrices, which are checked before they are used. */
const experiments = 'enable-dawn-features=allow_unsafe_apis';

/** Makes `navigator.gpu` from Dawn. `flags` are Dawn's, e.g. `backend=null`. Calling it again changes nothing. */
export async function provideWebGpu(flags: readonly string[] = []): Promise<GPU> {
  if (gpu) return gpu;
  const library = process.env['DAWN_NODE'];
  const dawn = (library ? createRequire(import.meta.url)(library) : await import('webgpu')) as Dawn;
  Object.assign(globalThis, dawn.globals);
  gpu = dawn.create([experiments, ...flags]);
  // Node 20 has no navigator; from 21 on it is there, read-only.
  Object.defineProperty(globalThis, 'navigator', {
    value: { gpu, userAgent: 'node' },
    configurable: true,
    writable: true,
  });
  return gpu;
}

/** Opens the GPU for a command. Call the result when done: an open device keeps the process alive. */
export async function openNodeGpu(
  flags: readonly string[] = [],
): Promise<{ readonly runtime: Runtime; readonly close: () => void }> {
  const opened = await openDevice(await provideWebGpu(flags));
  const runtime = await startRuntime(opened);
  startTileTuner({ memory: tileFile(), saveDelayMs: 200 });
  return { runtime, close: stopRuntime };
}

/** GPUs for benchmarks in Node. One a process: Dawn is global. */
import { provideWebGpu } from '../src/cli/nodeGpu.ts';
import { openBenchGpu, type BenchGpu, type Tuning } from './gpu.ts';
import { shrinkBuffers } from './shrunkBuffers.ts';

/** The first GPU that Dawn finds. */
export async function openNodeGpu(tuning?: Tuning): Promise<BenchGpu> {
  return openBenchGpu(await provideWebGpu(), tuning ? { tuning } : {});
}

/** Dawn's null backend, which validates all commands and runs none, with buffers that only claim their sizes. */
export async function openNullGpu(): Promise<BenchGpu> {
  return openBenchGpu(await provideWebGpu(['backend=null']), { tuning: 'never', prepare: shrinkBuffers });
}

/**
 * Measures one LoRA training step, and one forward pass, of a UNet: what is recorded, what it costs in JavaScript, and the
 * memory that the GPU must have. The step is the trainer's own; only the numbers in the batch are made up.
 */
import { memory } from '@tensorflow/tfjs-core';
import { layersToTrain, TrainableAdapter } from '../src/adapter/trainable.ts';
import { BufferPool } from '../src/gpu/bufferPool.ts';
import { resetPeak } from '../src/gpu/memory.ts';
import { finishGpuWork, readTensor, tensor, trimMemory } from '../src/gpu/ops.ts';
import { precisionOf, withPrecision } from '../src/gpu/precision.ts';
import type { UNet2DCondition } from '../src/models/unet.ts';
import { defaultTrainOptions, type TrainOptions } from '../src/core/trainOptions.ts';
import { noiseBatch, type NoisyBatch } from '../src/trainer/batch.ts';
import { LoraTrainer } from '../src/trainer/trainer.ts';
import { tuneFor, type BenchGpu } from './gpu.ts';
import type { GpuTimeline } from './passTimes.ts';

export interface PassReport {
  /** Dispatches of all kernels, tfjs' included. */
  readonly dispatches: number;
  /** Floating-point operations of matrix products, convolutions and attention. */
  readonly flop: number;
  readonly submits: number;
  /** Bind groups made by the last pass, ours and tfjs'. */
  readonly bindGroups: number;
  /** Least milliseconds in JavaScript (Dawn's validation included) until everything is recorded; waiting is not in it. */
  readonly jsMs: number;
  /** Least milliseconds until the result has been read back. */
  readonly wallMs: number;
  /** Bytes of all GPU buffers alive afterwards, those kept for reuse included. */
  readonly heldBytes: number;
  /** Highest bytes of all GPU buffers during the pass. */
  readonly peakBytes: number;
  /** Bytes of the tensors alive afterwards. */
  readonly liveBytes: number;
  /** Highest bytes of buffers that tensors were using at one time; what the pool keeps free is not in it. */
  readonly peakLiveBytes: number;
  readonly byKernel: readonly [name: string, count: number][];
  /** By the GPU's own clock, of one pass; null where it has none, or where only counts were wanted. */
  readonly gpu: GpuTimeline | null;
}

export interface StepReport {
  readonly batchSize: number;
  readonly latentSide: number;
  readonly rank: number;
  /** Bytes of the UNet's weights on the GPU. */
  readonly weightBytes: number;
  readonly forward: PassReport;
  readonly step: PassReport;
}

export interface StepSizes {
  readonly latentSide: number;
  readonly rank: number;
  readonly tokens: number;
  readonly batchSize: number;
  /** Megabytes for activations that are kept rather than computed twice; from the second step on. */
  readonly activationMemory?: number;
  /** Of the UNet's products; none, if not given. */
  readonly mixedPrecision?: TrainOptions['mixedPrecision'];
  /** Passes of each kind, where only counts matter; with 1, bind groups are counted while nothing is cached. As many as good times need, if not given. */
  readonly passes?: number;
}

/**
 * Passes of each kind. The first compiles the kernels; counts are of the second. Times are the least of those after the first,
 * of which there are many unless they take long: the work is the same every time, so what is more is other programs' or the
 * JavaScript compiler's.
 */
const fewestPasses = 4;
const mostPasses = 20;
const longEnoughMs = 8000;

/** Measures `unet`, whose weights must be all that is on the GPU. */
export async function measureStep(
  gpu: BenchGpu,
  unet: UNet2DCondition,
  { latentSide, rank, tokens, batchSize, activationMemory = 0, mixedPrecision = 'no', passes }: StepSizes,
): Promise<StepReport> {
  await finishGpuWork();
  const weightBytes = memory().numBytes;
  const { inChannels, crossAttentionDim } = unet.config;
  const layers = layersToTrain({ unet: unet.adaptableLayers }, defaultTrainOptions);
  const adapter = TrainableAdapter.create(layers, { rank, alpha: rank, seed: 0 });
  const trainer = new LoraTrainer({ unet }, adapter.parameterGroups(), {
    ...defaultTrainOptions,
    activationMemory,
    mixedPrecision,
  });
  const shape = [batchSize, latentSide, latentSide, inChannels] as const;
  const context: NoisyBatch['contextShape'] = [batchSize, tokens, crossAttentionDim];
  const values = (dims: readonly number[]): Float32Array<ArrayBuffer> =>
    new Float32Array(dims.reduce((a, b) => a * b, 1)).map((_, i) => Math.sin(i));
  const batch = noiseBatch(
    {
      shape,
      clean: values(shape),
      noise: values(shape),
      timesteps: Array.from({ length: batchSize }, () => 500),
      context: values(context),
      contextShape: context,
    },
    {
      alphasCumprod: new Float32Array(1000).fill(0.5),
      predictionType: 'epsilon',
      minSnrGamma: null,
      loss: defaultTrainOptions.loss,
    },
  );
  const forwardPass = async (): Promise<void> => {
    const sample = tensor(batch.noisy, shape);
    const conditions = tensor(batch.context, context);
    const out = withPrecision(precisionOf({ mixedPrecision }), () => unet.forward(sample, batch.timesteps, conditions));
    sample.dispose();
    conditions.dispose();
    const reading = readTensor(out);
    out.dispose();
    await reading;
  };
  try {
    const forward = await measurePass(gpu, forwardPass, passes);
    trimMemory();
    const step = await measurePass(
      gpu,
      async () => void (await trainer.step([batch], defaultTrainOptions.learningRate)),
      passes,
    );
    return { batchSize, latentSide, rank, weightBytes, forward, step };
  } finally {
    trainer.dispose();
    adapter.dispose();
  }
}

/** `pass` must record all its work before its first await. */
export async function measurePass(
  { runtime, dispatches, passTimes }: BenchGpu,
  pass: () => Promise<void>,
  passes?: number,
): Promise<PassReport> {
  const { counters } = runtime;
  await tuneFor(pass);
  const times: { js: number; wall: number }[] = [];
  const peak = watchPool();
  let counted: Omit<PassReport, 'jsMs' | 'wallMs' | 'bindGroups' | 'gpu'> | null = null;
  try {
    const begun = performance.now();
    const goOn = (done: number): boolean =>
      passes === undefined
        ? done < fewestPasses || (done < mostPasses && performance.now() - begun < longEnoughMs)
        : done < passes;
    for (let i = 0; goOn(i); i++) {
      resetPeak(counters);
      dispatches.reset();
      peak.reset();
      const { submits, flop } = counters;
      const started = performance.now();
      const pending = pass();
      const js = performance.now() - started;
      await pending;
      if (i > 0 || passes === 1) times.push({ js, wall: performance.now() - started });
      if (i === (passes === 1 ? 0 : 1)) {
        counted = {
          dispatches: dispatches.total,
          flop: counters.flop - flop,
          submits: counters.submits - submits,
          heldBytes: counters.liveBytes,
          peakBytes: counters.peakBytes,
          liveBytes: memory().numBytes,
          peakLiveBytes: peak.bytes(),
          byKernel: dispatches.byKernel(),
        };
      }
    }
  } finally {
    peak.stop();
  }
  const { bindGroups } = dispatches;
  return {
    ...counted!,
    bindGroups,
    gpu: passes === undefined ? await passTimes.measure(pass) : null,
    jsMs: Math.min(...times.map(({ js }) => js)),
    wallMs: Math.min(...times.map(({ wall }) => wall)),
  };
}

/** Follows how much of the pool is in use, by a wrapper around the only way in. */
function watchPool(): { reset(): void; bytes(): number; stop(): void } {
  let highest = 0;
  const acquireBuffer = Reflect.get(BufferPool.prototype, 'acquireBuffer');
  BufferPool.prototype.acquireBuffer = function (this: BufferPool, ...args) {
    const buffer = acquireBuffer.apply(this, args);
    highest = Math.max(highest, this.numBytesUsed);
    return buffer;
  };
  return {
    reset: () => {
      highest = 0;
    },
    bytes: () => highest,
    stop: () => {
      BufferPool.prototype.acquireBuffer = acquireBuffer;
    },
  };
}

/**
 * The memory part: Stable Diffusion 1.5 at 512 px on Dawn's null backend, in training (rank 4) and inference. Nothing is computed, but
 * every buffer is asked for and every command is recorded and validated as on a real GPU, so bytes and counts are exact.
 */
import { defaultTrainOptions } from '../src/core/trainOptions.ts';
import { trimMemory, type WeightFormat } from '../src/gpu/ops.ts';
import { UNet2DCondition } from '../src/models/unet.ts';
import { AutoencoderKL } from '../src/models/vae.ts';
import { unetShapes, vaeShapes } from '../tools/fullsize/shapes.ts';
import type { BenchGpu } from './gpu.ts';
import { openNullGpu } from './nodeGpu.ts';
import { measureReuse, type ReuseReport } from './reuse.ts';
import { demoConfig, sd15Config, sd15VaeConfig, zeroWeights } from './sd15.ts';
import { formatTable, megabytes } from './table.ts';
import { measurePass, measureStep, type PassReport, type StepReport } from './trainingStep.ts';

export interface TrainingCase {
  readonly weights: WeightFormat;
  /** Megabytes for activations that are kept rather than computed twice. */
  readonly activationMemory: number;
  readonly report: StepReport;
}

export interface MemoryReport {
  /** Rank 4; the first keeps nothing that can be computed again, at batch 1. */
  readonly training: readonly TrainingCase[];
  /** With the UNet's weights (f16) and the decoder's on the GPU. */
  readonly decode: PassReport;
  /** With the encoder's weights on the GPU, as while images are prepared. */
  readonly encode: PassReport;
  /** Of SD1.5, and of the demo model at its 64 px. */
  readonly reuse: ReuseReport;
  readonly demoReuse: ReuseReport;
}

const latentSide = 64;
const pixels = 8 * latentSide;
/** Bytes and dispatches of the first pass are those of any other. */
const passes = 1;

/** Needs a process of its own, without another GPU in it. */
export async function benchMemory(): Promise<MemoryReport> {
  const gpu = await openNullGpu();
  const loadUNet = (weights: WeightFormat, config = sd15Config): Promise<UNet2DCondition> =>
    UNet2DCondition.load(zeroWeights(unetShapes(config)), config, undefined, weights);
  const loadVae = (encoder: boolean): Promise<AutoencoderKL> =>
    AutoencoderKL.load(zeroWeights(vaeShapes(sd15VaeConfig)), sd15VaeConfig, { encoder, decoder: !encoder });
  const train = async (
    unet: UNet2DCondition,
    weights: WeightFormat,
    batchSize: number,
    activationMemory = 0,
  ): Promise<TrainingCase> => {
    trimMemory();
    // What is kept is decided after the first step.
    const passesHere = activationMemory > 0 ? 2 : passes;
    const sizes = { latentSide, rank: 4, tokens: 77, batchSize, activationMemory, passes: passesHere };
    return { weights, activationMemory, report: await measureStep(gpu, unet, sizes) };
  };

  const encode = await measureEncoding(gpu, await loadVae(true));
  const unet = await loadUNet('f16');
  const training = [
    await train(unet, 'f16', 1),
    await train(unet, 'f16', 2),
    await train(unet, 'f16', 1, defaultTrainOptions.activationMemory),
    await train(unet, 'f16', 2, defaultTrainOptions.activationMemory),
    await train(unet, 'f16', 1, 1000),
  ];
  trimMemory();
  const reuse = await measureReuse(gpu, unet, latentSide);
  const decoder = await loadVae(false);
  const latents = new Float32Array(latentSide * latentSide * sd15VaeConfig.latentChannels);
  const decode = await measurePass(
    gpu,
    async () => void (await decoder.decode(latents, [1, latentSide, latentSide])),
    passes,
  );
  decoder.dispose();
  unet.dispose();
  trimMemory();
  const small = await loadUNet('int8');
  training.push(await train(small, 'int8', 1));
  small.dispose();
  const demo = await loadUNet('f16', demoConfig);
  const demoReuse = await measureReuse(gpu, demo, demoConfig.sampleSize);
  demo.dispose();
  return { training, decode, encode, reuse, demoReuse };
}

async function measureEncoding(gpu: BenchGpu, encoder: AutoencoderKL): Promise<PassReport> {
  const image = new Float32Array(pixels * pixels * sd15VaeConfig.inChannels);
  const encode = await measurePass(gpu, async () => void (await encoder.encode(image, [1, pixels, pixels])), passes);
  encoder.dispose();
  trimMemory();
  return encode;
}

/** What was measured of one kind of work, and what we promise of it. */
export interface MemoryRow {
  readonly name: string;
  readonly pass: PassReport;
  /** Of all GPU buffers at one time, weights included. */
  readonly mostBytes: number;
  readonly mostDispatches: number | null;
}

const mostInference = 2.2e9;
const mostTraining = { f16: [2.5e9, 2.9e9], int8: [1.7e9, 1.7e9] } as const;

/** Every measurement beside its limit, which the test holds it to. */
export function memoryRows({ training, decode, encode, reuse }: MemoryReport): MemoryRow[] {
  const inference = (name: string, pass: PassReport): MemoryRow => {
    return { name, pass, mostBytes: mostInference, mostDispatches: null };
  };
  return [
    ...training.map(({ weights, activationMemory, report: { batchSize, step } }): MemoryRow => {
      const keeping = activationMemory > 0 ? `, ${activationMemory} MB for keeping` : '';
      return {
        name: `training step, batch ${batchSize}, weights ${weights}${keeping}`,
        pass: step,
        mostBytes:
          mostTraining[weights][batchSize - 1]! +
          1e6 * Math.max(0, activationMemory - defaultTrainOptions.activationMemory),
        mostDispatches: activationMemory >= 1000 ? 1350 : 1900,
      };
    }),
    ...training
      .filter(({ activationMemory }) => activationMemory === 0)
      .map(({ weights, report: { batchSize, forward } }) =>
        inference(`UNet, batch ${batchSize}, weights ${weights}`, forward),
      ),
    inference('UNet, batch 2, its depth kept', reuse.keeping),
    inference('UNet, batch 2, the depth reused', reuse.shallow),
    inference('decoding a picture, UNet loaded, weights f16', decode),
    inference('encoding a picture', encode),
  ];
}

/** GPU bytes and dispatches of everything, weights included. */
export function memoryTable(report: MemoryReport): string {
  return formatTable(
    ['SD1.5 at 512 px', 'GPU bytes, peak', 'at most', 'in use, peak', 'dispatches', 'at most', 'TFLOP'],
    memoryRows(report).map(({ name, pass, mostBytes, mostDispatches }) => [
      name,
      megabytes(pass.peakBytes),
      megabytes(mostBytes),
      megabytes(pass.peakLiveBytes),
      String(pass.dispatches),
      mostDispatches === null ? '' : String(mostDispatches),
      (pass.flop / 1e12).toFixed(2),
    ]),
  );
}

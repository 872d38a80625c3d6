/**
 * The memory part: Stable Diffusion 1.5 at 512 px on Dawn's null backend, in training (rank 4) and inference. Nothing is computed, but
 * every buffer is asked for and every command is recorded and validated as on a real GPU, so bytes and counts are exact.
 */
import { trimMemory, type WeightFormat } from '../src/gpu/ops.ts';
import { UNet2DCondition } from '../src/models/unet.ts';
import { AutoencoderKL } from '../src/models/vae.ts';
import type { ActivationFormat } from '../src/nn/checkpoints.ts';
import { unetShapes, vaeShapes } from '../tools/fullsize/shapes.ts';
import type { BenchGpu } from './gpu.ts';
import { openNullGpu } from './nodeGpu.ts';
import { sd15Config, sd15VaeConfig, zeroWeights } from './sd15.ts';
import { formatTable, megabytes } from './table.ts';
import { measurePass, measureStep, type PassReport, type StepReport } from './trainingStep.ts';

export interface TrainingCase {
  readonly weights: WeightFormat;
  readonly activations: ActivationFormat;
  readonly report: StepReport;
}

export interface MemoryReport {
  /** Rank 4; the first is that of the defaults, at batch 1. */
  readonly training: readonly TrainingCase[];
  /** With the UNet's weights (f16) and the decoder's on the GPU. */
  readonly decode: PassReport;
  /** With the encoder's weights on the GPU, as while images are prepared. */
  readonly encode: PassReport;
}

const latentSide = 64;
const pixels = 8 * latentSide;
/** Bytes and dispatches of the first pass are those of any other. */
const passes = 1;

/** Needs a process of its own, without another GPU in it. */
export async function benchMemory(): Promise<MemoryReport> {
  const gpu = await openNullGpu();
  const loadUNet = (weights: WeightFormat): Promise<UNet2DCondition> =>
    UNet2DCondition.load(zeroWeights(unetShapes(sd15Config)), sd15Config, undefined, weights);
  const loadVae = (encoder: boolean): Promise<AutoencoderKL> =>
    AutoencoderKL.load(zeroWeights(vaeShapes(sd15VaeConfig)), sd15VaeConfig, { encoder, decoder: !encoder });
  const train = async (
    unet: UNet2DCondition,
    weights: WeightFormat,
    activations: ActivationFormat,
    batchSize: number,
  ): Promise<TrainingCase> => {
    trimMemory();
    const sizes = { latentSide, rank: 4, tokens: 77, batchSize, activations, passes };
    return { weights, activations, report: await measureStep(gpu, unet, sizes) };
  };

  const encode = await measureEncoding(gpu, await loadVae(true));
  const unet = await loadUNet('f16');
  const training = [
    await train(unet, 'f16', 'f32', 1),
    await train(unet, 'f16', 'f32', 2),
    await train(unet, 'f16', 'f16', 1),
  ];
  trimMemory();
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
  training.push(await train(small, 'int8', 'f32', 1), await train(small, 'int8', 'f16', 1));
  small.dispose();
  return { training, decode, encode };
}

async function measureEncoding(gpu: BenchGpu, encoder: AutoencoderKL): Promise<PassReport> {
  const image = new Float32Array(pixels * pixels * sd15VaeConfig.inChannels);
  const encode = await measurePass(gpu, async () => void (await encoder.encode(image, [1, pixels, pixels])), passes);
  encoder.dispose();
  trimMemory();
  return encode;
}

/** GPU bytes and dispatches of everything, weights included. */
export function memoryTable({ training, decode, encode }: MemoryReport): string {
  const row = (name: string, pass: PassReport): string[] => [
    name,
    megabytes(pass.peakBytes),
    megabytes(pass.peakLiveBytes),
    String(pass.dispatches),
  ];
  return formatTable(
    ['SD1.5 at 512 px', 'GPU bytes, peak', 'in use, peak', 'dispatches'],
    [
      ...training.map(({ weights, activations, report }) =>
        row(`training step, batch ${report.batchSize}, weights ${weights}, activations ${activations}`, report.step),
      ),
      ...training
        .filter(({ activations }) => activations === 'f32')
        .map(({ weights, report }) => row(`UNet, batch ${report.batchSize}, weights ${weights}`, report.forward)),
      row('decoding a picture, UNet loaded, weights f16', decode),
      row('encoding a picture', encode),
    ],
  );
}

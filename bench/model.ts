/** The `model` part: SD1.5 as a whole at 512 px, with noise for weights: loading, the UNet, a training step, and the VAE both ways. */
import { finishGpuWork, tensorCount, trimMemory } from '../src/gpu/ops.ts';
import type { TrainOptions } from '../src/core/trainOptions.ts';
import { runtime } from '../src/gpu/runtime.ts';
import { invariant } from '../src/core/invariant.ts';
import { UNet2DCondition } from '../src/models/unet.ts';
import { AutoencoderKL } from '../src/models/vae.ts';
import { unetShapes, vaeShapes } from '../tools/fullsize/shapes.ts';
import { measureCeilings, type Ceilings } from './ceilings/ceilings.ts';
import type { BenchGpu } from './gpu.ts';
import { modelSizes } from './kernels/inputs.ts';
import { noiseWeights, scaledUNet, scaledVae } from './sd15.ts';
import { formatMarkdown, formatTable } from './table.ts';
import { measurePass, measureStep, type PassReport } from './trainingStep.ts';

export interface ModelPass {
  readonly name: string;
  readonly report: PassReport;
}

export interface ModelLoad {
  readonly name: string;
  /** From weights in memory until all lie on the GPU, permuted as kernels read them; the disk is not in it. */
  readonly ms: number;
  readonly uploadedBytes: number;
}

export interface ModelReport {
  readonly scale: number;
  readonly ceilings: Ceilings;
  readonly loads: readonly ModelLoad[];
  readonly passes: readonly ModelPass[];
}

export interface ModelOptions {
  /** 1 is SD1.5 at 512 px, 859.5 million weights. */
  readonly scale: number;
  /** Of the UNet's products; f32, if not given. */
  readonly mixedPrecision?: TrainOptions['mixedPrecision'];
  readonly onCase?: (name: string) => void;
  /** Passes of each kind where only counts matter, as on the null backend. */
  readonly passes?: number;
}

export async function benchModel(
  gpu: BenchGpu,
  { scale, mixedPrecision = 'no', onCase, passes }: ModelOptions,
): Promise<ModelReport> {
  const { side, tokens } = modelSizes(scale);
  onCase?.('ceilings');
  const ceilings = await measureCeilings(gpu.dispatches, scale >= 1 ? 1 : scale / 16);
  const loads: ModelLoad[] = [];
  const reports: ModelPass[] = [];
  const load = async <T>(name: string, make: () => Promise<T>): Promise<T> => {
    trimMemory();
    onCase?.(name);
    const { counters } = runtime();
    const before = counters.uploadedBytes;
    const started = performance.now();
    const made = await make();
    await finishGpuWork();
    loads.push({ name, ms: performance.now() - started, uploadedBytes: counters.uploadedBytes - before });
    return made;
  };
  const before = tensorCount();

  const vaeConfig = scaledVae(scale);
  const vaeTensors = vaeShapes(vaeConfig);
  const loadVae = (part: 'encoder' | 'decoder'): Promise<AutoencoderKL> =>
    load(`load the VAE's ${part}`, () =>
      AutoencoderKL.load(noiseWeights(vaeTensors), vaeConfig, {
        encoder: part === 'encoder',
        decoder: part === 'decoder',
      }),
    );
  const pixels = side * 2 ** (vaeConfig.blockOutChannels.length - 1);
  const wave = (size: number): Float32Array<ArrayBuffer> => new Float32Array(size).map((_, i) => Math.sin(i));
  const encoder = await loadVae('encoder');
  const image = wave(pixels ** 2 * vaeConfig.inChannels);
  onCase?.('encode');
  reports.push({
    name: 'VAE, encode a picture',
    report: await measurePass(gpu, async () => void (await encoder.encode(image, [1, pixels, pixels])), passes),
  });
  encoder.dispose();
  const decoder = await loadVae('decoder');
  const latents = wave(side ** 2 * vaeConfig.latentChannels);
  onCase?.('decode');
  reports.push({
    name: 'VAE, decode a picture',
    report: await measurePass(gpu, async () => void (await decoder.decode(latents, [1, side, side])), passes),
  });
  decoder.dispose();

  const config = scaledUNet(scale);
  const shapes = unetShapes(config);
  const unet = await load('load the UNet', () => UNet2DCondition.load(noiseWeights(shapes), config));
  onCase?.('UNet and training step');
  const sizes = {
    latentSide: side,
    rank: 4,
    tokens,
    batchSize: 1,
    mixedPrecision,
    ...(passes === undefined ? {} : { passes }),
  };
  const { forward, step } = await measureStep(gpu, unet, sizes);
  onCase?.('training step without recomputation');
  const { step: keeping } = await measureStep(gpu, unet, { ...sizes, activationMemory: Infinity });
  unet.dispose();
  trimMemory();
  reports.push(
    { name: 'UNet, one image step', report: forward },
    { name: 'LoRA training step, rank 4', report: step },
    { name: 'the same, all activations kept', report: keeping },
  );
  invariant(tensorCount() === before, 'benchModel: tensors are left');
  return { scale, ceilings, loads, passes: reports };
}

const head = [
  '',
  'ms',
  'GPU busy',
  'TFLOP',
  'TFLOP/s',
  'of the ceiling',
  'dispatches',
  'bind groups',
  'JavaScript ms',
  'peak MB',
];

function cells({ loads, passes, ceilings }: ModelReport): string[][] {
  const megabytes = (bytes: number): string => (bytes / 1e6).toFixed(0);
  return [
    ...loads.map(({ name, ms, uploadedBytes }) => [
      `${name}, ${megabytes(uploadedBytes)} MB`,
      `~${ms.toPrecision(3)}`,
      ...Array.from({ length: head.length - 2 }, () => ''),
    ]),
    ...passes.map(({ name, report: { gpu, flop, wallMs, jsMs, dispatches, bindGroups, peakBytes } }) => {
      const ms = gpu?.spanMs ?? wallMs;
      const teraFlops = flop / ms / 1e9;
      return [
        name,
        `${gpu ? '' : '~'}${ms.toPrecision(3)}`,
        gpu ? `${((100 * gpu.busyMs) / gpu.spanMs).toFixed(0)} %` : '',
        (flop / 1e12).toPrecision(3),
        teraFlops.toPrecision(3),
        `${((100 * teraFlops) / ceilings.f32TeraFlops).toFixed(0)} %`,
        String(dispatches),
        String(bindGroups),
        jsMs.toPrecision(3),
        megabytes(peakBytes),
      ];
    }),
  ];
}

/** For a terminal. `~` before a time: without timestamps, JavaScript and waiting included. */
export function modelTable(report: ModelReport): string {
  return formatTable(head, cells(report));
}

/** For docs/benchmarks.md. */
export function modelMarkdown(report: ModelReport): string {
  return formatMarkdown(head, cells(report));
}

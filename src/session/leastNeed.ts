/**
 * What a training needs of the GPU at the very least, by sizes alone: no weight is read, nothing is tried. What is surely there at one time is
 * counted, no more, so that whatever this refuses cannot be trained.
 */
import { isTrained } from '../adapter/targets.ts';
import { defined } from '../core/invariant.ts';
import type { OptimizerName, TrainOptions } from '../core/trainOptions.ts';
import type { KnownModule } from '../formats/lora/types.ts';
import { clipModules, unetModules } from '../models/adaptable.ts';
import { type DiffusionModel, resolutionUnit } from '../models/repository.ts';
import { formatBytes } from '../storage/quota.ts';

export interface LeastNeed {
  /** Of all buffers at one time. */
  readonly bytes: number;
  /** Of the largest buffer that a kernel reads or writes. */
  readonly largestBuffer: number;
}

/** What a GPU has. */
export interface GpuRoom {
  /** Null where the browser does not say, as most do not. */
  readonly bytes: number | null;
  /** WebGPU's maxStorageBufferBindingSize. */
  readonly largestBuffer: number;
}

type SizedModel = Pick<DiffusionModel, 'unetConfig' | 'textConfig' | 'vaeConfig'>;

/** Floats that an optimizer remembers of a parameter, at least. */
const remembered: Readonly<Record<OptimizerName, number>> = {
  adamw: 2,
  adamw8bit: 0.5,
  lion: 1,
  prodigy: 2,
  adafactor: 0,
};

export function leastNeed(model: SizedModel, options: TrainOptions): LeastNeed {
  const { weightsPrecision, textEncoder, optimizer, emaDecay } = options;
  const unet = unetModules(model.unetConfig);
  const text = textEncoder.train ? clipModules(model.textConfig) : [];
  const weightBytes = elements(unet) * (weightsPrecision === 'int8' ? 1 : 2) + elements(text) * 2;
  // Its value in the model and in the optimizer's page, and its gradient.
  const copies = 3 + remembered[optimizer.name] + (emaDecay === null ? 0 : 1);
  const stateBytes = trainedElements([...unet, ...text], options) * copies * 4;
  const { atOnce, largest } = activations(model, options);
  return { bytes: weightBytes + stateBytes + atOnce * 4, largestBuffer: largest * 4 };
}

/** Why a training cannot be done on a GPU, as a sentence; null where nothing speaks against it. */
export function sizeProblem(need: LeastNeed, room: GpuRoom): string | null {
  if (room.bytes !== null && need.bytes > room.bytes)
    return `A step needs at least ${formatBytes(need.bytes)} on the GPU, which has ${formatBytes(room.bytes)}.`;
  if (need.largestBuffer > room.largestBuffer)
    return `A step needs ${formatBytes(need.largestBuffer)} in one buffer, and this GPU allows ${formatBytes(room.largestBuffer)}.`;
  return null;
}

const elements = (modules: readonly Required<KnownModule>[]): number =>
  sum(modules.map(({ inFeatures, outFeatures, kernelSize }) => inFeatures * outFeatures * kernelSize ** 2));

function trainedElements(modules: readonly Required<KnownModule>[], options: TrainOptions): number {
  return sum(
    modules
      .filter(({ module, target }) => isTrained(module, target, options))
      .map(({ inFeatures, outFeatures, kernelSize }) => {
        const rank = kernelSize > 1 ? options.convRank : options.rank;
        return rank * (inFeatures * kernelSize ** 2 + outFeatures);
      }),
  );
}

/**
 * Floats of the values between the UNet's segments, all of which are kept until the way back, and of the largest that a kernel writes: the
 * feed-forward layer of a transformer. Where the last segment has one, the way back begins with computing it.
 */
function activations(
  { unetConfig, vaeConfig }: SizedModel,
  options: TrainOptions,
): { readonly atOnce: number; readonly largest: number } {
  const { blockOutChannels: widths, layersPerBlock, downAttention, upAttention } = unetConfig;
  const levels = widths.length;
  const pixels = (options.trainBatchSize * leastPixels(options)) / resolutionUnit({ vaeConfig }) ** 2;
  /** One value of a level, 0 being the one with the most pixels. */
  const at = (level: number): number => (pixels / 4 ** level) * defined(widths[level]);
  const values = widths.map((_, i) => {
    const down = layersPerBlock * at(i) + (i < levels - 1 ? at(i) / 4 : 0);
    // The last of a level on the way up comes out twice as large a side.
    const up = layersPerBlock * at(i) + (i > 0 ? 4 * at(i) : at(0));
    return down + up;
  });
  const hasTransformer = (level: number): boolean =>
    downAttention[level] === true || upAttention[levels - 1 - level] === true;
  const largest = Math.max(...widths.map((_, i) => (hasTransformer(i) ? 8 : 1) * at(i)));
  // Its own output is there no more.
  const tape = upAttention[levels - 1] === true ? 7 * at(0) : 0;
  return { atOnce: at(0) + at(levels - 1) + sum(values) + tape, largest };
}

/** Pixels of a picture: buckets have nearly the square's, but where small pictures stay small. */
function leastPixels({ resolution, buckets }: TrainOptions): number {
  if (!buckets.enabled) return resolution ** 2;
  return buckets.noUpscale ? buckets.minSide ** 2 : 0.9 * resolution ** 2;
}

function sum(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0);
}

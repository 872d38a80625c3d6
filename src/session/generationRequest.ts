/** What may be asked of the generator, and what is wrong with what cannot be drawn. */
import type { Adapter } from '../adapter/lora.ts';
import { LoratoryError } from '../core/errors.ts';
import type { RgbImage } from '../core/image.ts';
import { LONGEST_REUSE, type Shortcuts } from '../core/shortcuts.ts';
import type { TrainOptions } from '../core/trainOptions.ts';
import { type DiffusionModel, resolutionUnit } from '../models/repository.ts';
import type { NoiseDevice } from '../sampler/noise.ts';
import { hasKarrasSigmas, type SchedulerName } from '../schedulers/index.ts';
import { SCHEDULER_LABELS } from '../schedulers/names.ts';
import type { SchedulerConfig } from '../schedulers/noiseSchedule.ts';
import type { HiresFix, SeedMode } from '../worker/protocol.ts';
import type { ConditioningRequest } from './conditioning.ts';

/** A setting is outside what can be generated. */
export class GenerateOptionError extends LoratoryError {
  readonly code = 'generate-option';

  constructor(option: string, value: unknown, rule: string) {
    super(`${option} is ${String(value)}, but ${rule}.`, `Change ${option} and try again.`, { option, value });
  }
}

/** What a user may set of a scheduler; what is not set is as the model's repository and the scheduler have it. */
export type SchedulerOptions = Pick<SchedulerConfig, 'timestepSpacing' | 'useKarrasSigmas'>;

export interface PluggedAdapter {
  readonly adapter: Adapter;
  readonly weight: number;
  /** The weight of its part in the text encoder, where it is another. */
  readonly textEncoderWeight?: number;
}

/** Image to image: of any size, brought to the request's. */
export interface InitPicture {
  readonly image: RgbImage;
  /** 0..1: how much of the walk is done again. */
  readonly strength: number;
  /** `crop` unless it says otherwise. */
  readonly resizeMode?: 'crop' | 'stretch';
  /** Inpainting: light pixels are drawn anew, dark ones are kept to the bit. Of the picture's proportions. */
  readonly mask?: RgbImage;
  /** How far the mask's edge is blurred where the drawn part is put into the picture, in pixels. */
  readonly maskBlur?: number;
}

export interface GenerationRequest extends Omit<ConditioningRequest, 'loras'>, Shortcuts {
  readonly seed: number;
  readonly numInferenceSteps: number;
  readonly guidanceScale: number;
  readonly width: number;
  readonly height: number;
  readonly scheduler: SchedulerName;
  readonly schedulerOptions?: SchedulerOptions;
  /** The generator of the noise; the CPU's, if not given. */
  readonly noiseDevice?: NoiseDevice;
  /** Pictures drawn at once; 1, if not given. */
  readonly batchSize?: number;
  /** Batches; 1, if not given. */
  readonly batchCount?: number;
  /** `a1111`, if not given. */
  readonly seedMode?: SeedMode;
  readonly init?: InitPicture;
  readonly hires?: HiresFix;
  /** Encodes and decodes in tiles although the whole may fit. */
  readonly vaeTiling?: boolean;
  /** Of the UNet; `no`, if not given. */
  readonly mixedPrecision?: TrainOptions['mixedPrecision'];
  readonly loras: readonly PluggedAdapter[];
}

/** Pictures that are drawn together. */
export interface Batch {
  readonly index: number;
  readonly count: number;
  readonly firstPicture: number;
  /** One a picture; with diffusers' seeds, all the same. */
  readonly seeds: readonly number[];
}

export function batchesOf({ batchSize = 1, batchCount = 1, seed, seedMode = 'a1111' }: GenerationRequest): Batch[] {
  const wrapped = (value: number): number => value % 2 ** 32;
  return Array.from({ length: batchCount }, (_batch, index) => {
    const firstPicture = index * batchSize;
    const seeds = Array.from({ length: batchSize }, (_picture, i) =>
      wrapped(seed + (seedMode === 'diffusers' ? index : firstPicture + i)),
    );
    return { index, count: batchSize, firstPicture, seeds };
  });
}

/** The size of the second picture of hires fix. */
export function hiresSize(
  { width, height, hires }: Pick<GenerationRequest, 'width' | 'height' | 'hires'>,
  unit: number,
): { readonly width: number; readonly height: number } {
  const enlarged = (side: number): number => Math.floor((side * (hires?.scale ?? 1)) / unit) * unit;
  return { width: enlarged(width), height: enlarged(height) };
}

const largestSide = 2048;

/** Throws {@link GenerateOptionError} for the first setting that cannot be. */
export function checkRequest(request: GenerationRequest, model: DiffusionModel): void {
  const unit = resolutionUnit(model);
  for (const side of ['width', 'height'] as const) {
    const value = request[side];
    if (!Number.isInteger(value) || value < unit || value > largestSide || value % unit !== 0)
      throw new GenerateOptionError(
        side,
        value,
        `this model needs a multiple of ${unit} from ${unit} to ${largestSide}`,
      );
  }
  const { guidanceScale, seed, clipSkip = 1, scheduler, schedulerOptions } = request;
  if (schedulerOptions?.useKarrasSigmas && !hasKarrasSigmas(scheduler))
    throw new GenerateOptionError('karras', true, `${SCHEDULER_LABELS[scheduler]} does not walk over Karras sigmas`);
  whole('clipSkip', clipSkip, 1, model.textConfig.hiddenLayers, 'this model needs');
  whole('steps', request.numInferenceSteps, 1, 1000);
  whole('seed', seed, 0, 2 ** 32 - 1);
  whole('batchSize', request.batchSize ?? 1, 1, 16);
  whole('batchCount', request.batchCount ?? 1, 1, 1000);
  if (!(guidanceScale >= 0 && guidanceScale <= 50))
    throw new GenerateOptionError('guidance', guidanceScale, 'it must lie between 0 and 50');
  checkShortcuts(request);
  checkInit(request);
  checkHires(request, unit);
}

function checkShortcuts({ guidanceStart = 0, guidanceEnd = 1, reuseInterval = 1 }: Shortcuts): void {
  share('guidanceStart', guidanceStart);
  share('guidanceEnd', guidanceEnd);
  if (guidanceStart > guidanceEnd)
    throw new GenerateOptionError('guidanceStart', guidanceStart, `it must not lie above guidanceEnd, ${guidanceEnd}`);
  whole('reuseInterval', reuseInterval, 1, LONGEST_REUSE);
}

function checkInit({ init }: GenerationRequest): void {
  if (!init) return;
  const { strength, maskBlur = 0 } = init;
  share('strength', strength);
  if (!(maskBlur >= 0 && maskBlur <= 256))
    throw new GenerateOptionError('maskBlur', maskBlur, 'it must lie between 0 and 256');
}

function checkHires({ init, hires, ...request }: GenerationRequest, unit: number): void {
  if (!hires) return;
  if (init)
    throw new GenerateOptionError(
      'hires',
      'on',
      'a picture that is given is drawn once: hires fix is for prompts alone',
    );
  const { scale, steps, strength } = hires;
  share('hires strength', strength);
  whole('hires steps', steps, 0, 1000);
  const { width, height } = hiresSize({ ...request, hires }, unit);
  if (!(scale > 1) || Math.max(width, height) > largestSide)
    throw new GenerateOptionError(
      'hires scale',
      scale,
      `it must be above 1 and lead to sides of ${largestSide} at most`,
    );
}

function whole(option: string, value: number, low: number, high: number, needs = 'it must be'): void {
  if (!Number.isInteger(value) || value < low || value > high)
    throw new GenerateOptionError(option, value, `${needs} a whole number from ${low} to ${high}`);
}

function share(option: string, value: number): void {
  if (!(value >= 0 && value <= 1)) throw new GenerateOptionError(option, value, 'it must lie between 0 and 1');
}

/**
 * Pictures from prompts, again and again with the same model: the UNet and the decoder stay on the GPU, embeddings of recent
 * prompts are remembered, and changing a LoRA's weight rewrites one small vector.
 */
import type { Adapter } from '../adapter/lora.ts';
import { AdapterSlot } from '../adapter/slot.ts';
import { LoratoryError } from '../core/errors.ts';
import type { RgbImage } from '../core/image.ts';
import { trimMemory } from '../gpu/ops.ts';
import type { DiffusionModel } from '../models/repository.ts';
import type { UNet2DCondition } from '../models/unet.ts';
import type { AutoencoderKL } from '../models/vae.ts';
import { denoise } from '../sampler/denoise.ts';
import { decodeLatents } from '../sampler/image.ts';
import { noiseSource, type NoiseDevice } from '../sampler/noise.ts';
import { createScheduler, hasKarrasSigmas, type SchedulerName } from '../schedulers/index.ts';
import { SCHEDULER_LABELS } from '../schedulers/names.ts';
import type { SchedulerConfig } from '../schedulers/noiseSchedule.ts';
import { PromptConditioner, type ConditioningRequest } from './conditioning.ts';
import { resolutionUnit } from './training.ts';

/** A setting is outside what can be generated. */
export class GenerateOptionError extends LoratoryError {
  readonly code = 'generate-option';

  constructor(option: string, value: unknown, rule: string) {
    super(`${option} is ${String(value)}, but ${rule}.`, `Change ${option} and try again.`, { option, value });
  }
}

/** What a user may set of a scheduler; what is not set is as the model's repository and the scheduler have it. */
export type SchedulerOptions = Pick<SchedulerConfig, 'timestepSpacing' | 'useKarrasSigmas'>;

export interface GenerationRequest extends Omit<ConditioningRequest, 'loras'> {
  readonly seed: number;
  readonly numInferenceSteps: number;
  readonly guidanceScale: number;
  readonly width: number;
  readonly height: number;
  readonly scheduler: SchedulerName;
  readonly schedulerOptions?: SchedulerOptions;
  /** The generator of the noise; the CPU's, if not given. */
  readonly noiseDevice?: NoiseDevice;
  readonly loras: readonly {
    readonly adapter: Adapter;
    readonly weight: number;
    /** The weight of its part in the text encoder, where it is another. */
    readonly textEncoderWeight?: number;
  }[];
}

export interface GenerationOptions {
  readonly signal?: AbortSignal;
  /** What is being done before the first step, in words. */
  readonly onStatus?: (detail: string) => void;
  /** After each call of the UNet; a scheduler may need more calls than there are steps. */
  readonly onStep?: (call: number, calls: number) => void;
}

export class ImageGenerator {
  private unet: UNet2DCondition | null = null;
  private vae: AutoencoderKL | null = null;
  private readonly unetAdapters = new AdapterSlot();
  private readonly prompts: PromptConditioner;

  constructor(readonly model: DiffusionModel) {
    this.prompts = new PromptConditioner(model);
  }

  /** @throws {GenerateOptionError} before anything is loaded. */
  async generate(request: GenerationRequest, { signal, onStatus, onStep }: GenerationOptions = {}): Promise<RgbImage> {
    checkRequest(request, this.model);
    const { scheduler: name, schedulerOptions, numInferenceSteps, noiseDevice } = request;
    const scheduler = createScheduler(name, this.model.schedulerConfig, numInferenceSteps, schedulerOptions);
    const conditioning = await this.prompts.conditioning(
      {
        ...request,
        loras: request.loras.map(({ adapter, weight, textEncoderWeight = weight }) => ({
          adapter,
          weight: textEncoderWeight,
        })),
      },
      // A1111 counts the steps at which prompts change in calls of the UNet: two a step for schedulers of second order.
      numInferenceSteps * scheduler.order,
      { ...(signal ? { signal } : {}), ...(onStatus ? { onStatus } : {}) },
    );
    if (!this.unet) {
      onStatus?.('Loading the UNet');
      this.unet = await this.model.loadUNet();
    }
    signal?.throwIfAborted();
    this.unetAdapters.set(this.unet.adaptableLayers, request.loras);
    const factor = 2 ** (this.model.vaeConfig.blockOutChannels.length - 1);
    const shape = [request.height / factor, request.width / factor, this.model.unetConfig.inChannels] as const;
    const latents = await denoise({
      unet: this.unet,
      scheduler,
      noise: noiseSource(request.seed, shape, noiseDevice),
      shape,
      ...conditioning,
      guidanceScale: request.guidanceScale,
      ...(signal ? { signal } : {}),
      ...(onStep ? { onStep: (call) => onStep(call, scheduler.timesteps.length) } : {}),
    });
    this.vae ??= await this.model.loadVae({ encoder: false, decoder: true });
    return decodeLatents(this.vae, latents, shape);
  }

  /** Frees everything on the GPU. The generator may be used again; it then loads again. */
  dispose(): void {
    this.unetAdapters.clear();
    this.prompts.dispose();
    this.unet?.dispose();
    this.unet = null;
    this.vae?.dispose();
    this.vae = null;
    trimMemory();
  }
}

function checkRequest(request: GenerationRequest, model: DiffusionModel): void {
  const unit = resolutionUnit(model);
  for (const side of ['width', 'height'] as const) {
    const value = request[side];
    if (!Number.isInteger(value) || value < unit || value > 2048 || value % unit !== 0) {
      throw new GenerateOptionError(side, value, `this model needs a multiple of ${unit} from ${unit} to 2048`);
    }
  }
  const { numInferenceSteps: steps, guidanceScale, seed, clipSkip = 1, scheduler, schedulerOptions } = request;
  if (schedulerOptions?.useKarrasSigmas && !hasKarrasSigmas(scheduler))
    throw new GenerateOptionError('karras', true, `${SCHEDULER_LABELS[scheduler]} does not walk over Karras sigmas`);
  const { hiddenLayers } = model.textConfig;
  if (!Number.isInteger(clipSkip) || clipSkip < 1 || clipSkip > hiddenLayers)
    throw new GenerateOptionError('clipSkip', clipSkip, `this model needs a whole number from 1 to ${hiddenLayers}`);
  if (!Number.isInteger(steps) || steps < 1 || steps > 1000)
    throw new GenerateOptionError('steps', steps, 'it must be a whole number from 1 to 1000');
  if (!Number.isInteger(seed) || seed < 0 || seed >= 2 ** 32)
    throw new GenerateOptionError('seed', seed, 'it must be a whole number from 0 to 4294967295');
  if (!(guidanceScale >= 0 && guidanceScale <= 50))
    throw new GenerateOptionError('guidance', guidanceScale, 'it must lie between 0 and 50');
}

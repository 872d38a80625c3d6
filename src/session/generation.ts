/**
 * Pictures from prompts, again and again with the same model: the UNet and the decoder stay on the GPU, embeddings of recent
 * prompts are remembered, and changing a LoRA's weight rewrites one small vector.
 */
import type { Adapter } from '../adapter/lora.ts';
import { AdapterSlot, hasTarget, type WeightedAdapter } from '../adapter/slot.ts';
import { LoratoryError } from '../core/errors.ts';
import type { RgbImage } from '../core/image.ts';
import { defined } from '../core/invariant.ts';
import { trimMemory } from '../gpu/ops.ts';
import { encodePrompts, type PromptEmbedding } from '../latents/embeddings.ts';
import type { ClipTextEncoder } from '../models/clip.ts';
import type { DiffusionModel } from '../models/repository.ts';
import type { UNet2DCondition } from '../models/unet.ts';
import type { AutoencoderKL } from '../models/vae.ts';
import { denoise, initialNoise } from '../sampler/denoise.ts';
import { decodeLatents } from '../sampler/image.ts';
import { createScheduler, type SchedulerName } from '../schedulers/index.ts';
import { resolutionUnit } from './training.ts';

/** A setting is outside what can be generated. */
export class GenerateOptionError extends LoratoryError {
  readonly code = 'generate-option';

  constructor(option: string, value: unknown, rule: string) {
    super(`${option} is ${String(value)}, but ${rule}.`, `Change ${option} and try again.`, { option, value });
  }
}

export interface GenerationRequest {
  readonly prompt: string;
  readonly negativePrompt: string;
  readonly seed: number;
  readonly numInferenceSteps: number;
  readonly guidanceScale: number;
  readonly width: number;
  readonly height: number;
  readonly scheduler: SchedulerName;
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
  readonly onStep?: (step: number) => void;
}

const rememberedPrompts = 64;

export class ImageGenerator {
  private unet: UNet2DCondition | null = null;
  private vae: AutoencoderKL | null = null;
  private readonly unetAdapters = new AdapterSlot();
  /** Kept while adapters change it, so that their sliders load nothing. */
  private textEncoder: ClipTextEncoder | null = null;
  private readonly textAdapters = new AdapterSlot();
  /** What the remembered embeddings were made with. */
  private embeddedWith: readonly WeightedAdapter[] = [];
  private readonly embeddings = new Map<string, PromptEmbedding>();

  constructor(readonly model: DiffusionModel) {}

  /** @throws {GenerateOptionError} before anything is loaded. */
  async generate(request: GenerationRequest, { signal, onStatus, onStep }: GenerationOptions = {}): Promise<RgbImage> {
    checkRequest(request, this.model);
    const [promptEmbeds, negativePromptEmbeds] = await this.embed(
      [request.prompt, request.negativePrompt],
      request.loras,
      signal,
      onStatus,
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
      scheduler: createScheduler(request.scheduler, this.model.schedulerConfig, request.numInferenceSteps),
      start: { noise: initialNoise(request.seed, shape) },
      shape,
      promptEmbeds: defined(promptEmbeds),
      negativePromptEmbeds: defined(negativePromptEmbeds),
      guidanceScale: request.guidanceScale,
      ...(signal ? { signal } : {}),
      ...(onStep ? { onStep: (step) => onStep(step) } : {}),
    });
    this.vae ??= await this.model.loadVae({ encoder: false, decoder: true });
    return decodeLatents(this.vae, latents, shape);
  }

  /** Frees everything on the GPU. The generator may be used again; it then loads again. */
  dispose(): void {
    this.unetAdapters.clear();
    this.freeTextEncoder();
    this.unet?.dispose();
    this.unet = null;
    this.vae?.dispose();
    this.vae = null;
    trimMemory();
  }

  private async embed(
    prompts: readonly string[],
    loras: GenerationRequest['loras'],
    signal?: AbortSignal,
    onStatus?: (detail: string) => void,
  ): Promise<PromptEmbedding[]> {
    const adapters = loras
      .map(({ adapter, weight, textEncoderWeight = weight }) => ({ adapter, weight: textEncoderWeight }))
      .filter(({ adapter, weight }) => weight !== 0 && hasTarget(adapter, 'textEncoder'));
    const before = this.embeddedWith;
    const same =
      adapters.length === before.length &&
      adapters.every(({ adapter, weight }, i) => adapter === before[i]!.adapter && weight === before[i]!.weight);
    if (!same) this.embeddings.clear();
    this.embeddedWith = adapters;
    const missing = prompts.filter((prompt) => !this.embeddings.has(prompt));
    if (missing.length > 0) {
      onStatus?.('Reading the prompt');
      this.textEncoder ??= await this.model.loadTextEncoder();
      try {
        this.textAdapters.set(this.textEncoder.adaptableLayers, adapters);
        const fresh = await encodePrompts(this.textEncoder, this.model.tokenizer, missing, signal ? { signal } : {});
        for (const [prompt, embedding] of fresh) this.embeddings.set(prompt, embedding);
      } finally {
        if (adapters.length === 0) this.freeTextEncoder();
      }
    }
    const found = prompts.map((prompt) => defined(this.embeddings.get(prompt)));
    // The oldest are forgotten first; the ones just used are put at the young end.
    prompts.forEach((prompt, i) => {
      this.embeddings.delete(prompt);
      this.embeddings.set(prompt, found[i]!);
    });
    for (const prompt of [...this.embeddings.keys()].slice(0, -rememberedPrompts)) this.embeddings.delete(prompt);
    return found;
  }

  private freeTextEncoder(): void {
    this.textAdapters.clear();
    this.textEncoder?.dispose();
    this.textEncoder = null;
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
  const { numInferenceSteps: steps, guidanceScale, seed } = request;
  if (!Number.isInteger(steps) || steps < 1 || steps > 1000)
    throw new GenerateOptionError('steps', steps, 'it must be a whole number from 1 to 1000');
  if (!Number.isInteger(seed) || seed < 0 || seed >= 2 ** 32)
    throw new GenerateOptionError('seed', seed, 'it must be a whole number from 0 to 4294967295');
  if (!(guidanceScale >= 0 && guidanceScale <= 50))
    throw new GenerateOptionError('guidance', guidanceScale, 'it must lie between 0 and 50');
}

/**
 * Pictures from prompts, again and again with the same model: the UNet and the decoder stay on the GPU, embeddings of recent
 * prompts are remembered, and changing a LoRA's weight rewrites one small vector.
 */
import type { Adapter } from '../adapter/lora.ts';
import { AdapterSlot } from '../adapter/slot.ts';
import type { RgbImage } from '../core/image.ts';
import { defined } from '../core/invariant.ts';
import { toModelRange } from '../dataset/preprocess.ts';
import { shortcutsOf } from '../core/shortcuts.ts';
import { prepareHalfPrecision } from '../gpu/kernels/matrixCheck.ts';
import { trimMemory } from '../gpu/ops.ts';
import { precisionOf } from '../gpu/precision.ts';
import { sampleLatents } from '../latents/cache.ts';
import { type DiffusionModel, resolutionUnit } from '../models/repository.ts';
import type { UNet2DCondition } from '../models/unet.ts';
import type { AutoencoderKL, LatentMoments } from '../models/vae.ts';
import { denoise } from '../sampler/denoise.ts';
import { decodeLatents } from '../sampler/image.ts';
import { startFromLatents, startIndex } from '../sampler/imageToImage.ts';
import { blurMask, keepUnmasked, latentMask, maskOf, pasteUnmasked, type Mask } from '../sampler/inpaint.ts';
import { noiseOfBatch, noiseOfEach, type BatchNoise } from '../sampler/noise.ts';
import { fitTo, resizeLanczos, resizeLatents } from '../sampler/resample.ts';
import { createScheduler } from '../schedulers/index.ts';
import type { Scheduler } from '../schedulers/types.ts';
import { PromptConditioner, type Conditioning } from './conditioning.ts';
import {
  batchesOf,
  checkRequest,
  hiresSize,
  type Batch,
  type GenerationRequest,
  type PluggedAdapter,
} from './generationRequest.ts';
import { Fractions } from './fractions.ts';
import { PreviewPainter, type LatentShape } from './previews.ts';

export interface GenerationOptions {
  readonly signal?: AbortSignal;
  /** Asked after each step: true ends the picture there; what it had come to is given, and nothing after it is drawn. */
  readonly interrupted?: () => boolean;
  /** What is being done before the first step, in words. */
  readonly onStatus?: (detail: string) => void;
  /** After each call of the UNet. The next call waits for it. */
  readonly onStep?: (progress: StepProgress) => void | Promise<void>;
  /** Each picture as it is finished. */
  readonly onPicture?: (picture: DrawnPicture) => void;
}

export interface StepProgress {
  /** Calls of the UNet done in this walk, and how many it has; a scheduler may need more calls than there are steps. */
  readonly call: number;
  readonly calls: number;
  readonly batch: number;
  readonly stage: 'first' | 'hires';
  /** 0..1 of all that was asked for, by the pixels that are computed. */
  readonly fraction: number;
  /** What the batch is becoming, by the clean latents that the step pointed to; costs time, a little or more. */
  readonly preview: (mode: 'auto' | 'colours') => Promise<RgbImage[]>;
}

export interface DrawnPicture {
  /** Its place among all that were asked for, from 0. */
  readonly index: number;
  /** Of the generator that it was drawn from. */
  readonly seed: number;
  readonly image: RgbImage;
  /** True of what an interrupted walk had come to. */
  readonly isPartial: boolean;
}

/** One walk of the scheduler, for each batch anew. */
interface Walk {
  readonly stage: StepProgress['stage'];
  readonly width: number;
  readonly height: number;
  readonly steps: number;
  /** Of image to image and the second walk of hires fix; null: from noise alone. */
  readonly strength: number | null;
  readonly conditioning: Conditioning;
}

/** Where the latents of a walk begin. */
interface Start {
  readonly latents: Float32Array;
  readonly from: number;
  readonly adjust?: (latents: Float32Array, i: number) => Float32Array;
}

/** The picture of image to image at the request's size, and what its mask keeps. */
interface Source {
  readonly image: RgbImage;
  readonly moments: LatentMoments;
  readonly mask: { readonly latent: Mask; readonly paste: Mask } | null;
}

export class ImageGenerator {
  private ownUnet: UNet2DCondition | null = null;
  private vae: { readonly model: AutoencoderKL; readonly hasEncoder: boolean } | null = null;
  private readonly unetAdapters = new AdapterSlot();
  private readonly prompts: PromptConditioner;
  private readonly painter: PreviewPainter;

  /** A UNet that is loaded already may be lent: it is used instead of an own one and stays its owner's to dispose. */
  constructor(
    readonly model: DiffusionModel,
    private readonly lent: { readonly unet?: UNet2DCondition } = {},
  ) {
    this.prompts = new PromptConditioner(model);
    this.painter = new PreviewPainter(model, () => this.loadVae(false));
  }

  /** One picture: the first of what {@link draw} draws. */
  async generate(request: GenerationRequest, options: GenerationOptions = {}): Promise<RgbImage> {
    const [picture] = await this.draw({ ...request, batchSize: 1, batchCount: 1 }, options);
    return defined(picture).image;
  }

  /**
   * All pictures of a request, in order; fewer if it is interrupted.
   *
   * @throws {GenerateOptionError | HalfPrecisionError} before anything is loaded.
   */
  async draw(request: GenerationRequest, options: GenerationOptions = {}): Promise<DrawnPicture[]> {
    const { signal, interrupted, onStatus } = options;
    checkRequest(request, this.model);
    if (request.mixedPrecision === 'fp16') {
      const { computedBy } = await prepareHalfPrecision();
      onStatus?.(`Mixed precision, products computed by ${computedBy}`);
    }
    const walks = await this.walksOf(request, options);
    const unet = await this.loadUNet(onStatus);
    signal?.throwIfAborted();
    this.unetAdapters.set(unet.adaptableLayers, request.loras);
    const source = request.init ? await this.sourceOf(request, onStatus) : null;
    signal?.throwIfAborted();
    const batches = batchesOf(request);
    const progress = new Fractions(
      walks.map((walk) => this.callsOf(walk, request) * walk.width * walk.height),
      batches.map(({ count }) => count),
    );
    const drawn: DrawnPicture[] = [];
    for (const batch of batches) {
      drawn.push(...(await this.drawBatch(request, batch, walks, source, progress, options)));
      if (interrupted?.()) break;
    }
    return drawn;
  }

  /** Frees everything on the GPU. The generator may be used again; it then loads again. */
  dispose(): void {
    this.unetAdapters.clear();
    this.prompts.dispose();
    this.painter.dispose();
    this.ownUnet?.dispose();
    this.ownUnet = null;
    this.vae?.model.dispose();
    this.vae = null;
    trimMemory();
  }

  private async drawBatch(
    request: GenerationRequest,
    batch: Batch,
    walks: readonly Walk[],
    source: Source | null,
    progress: Fractions,
    options: GenerationOptions,
  ): Promise<DrawnPicture[]> {
    const { signal, interrupted } = options;
    let latents = new Float32Array();
    let shape: LatentShape = [0, 0, 0, 0];
    let isPartial = false;
    for (const walk of walks) {
      const scheduler = this.schedulerOf(request, walk.steps);
      const before = { latents, shape };
      const size = this.latentShape(batch.count, walk);
      shape = size;
      const noise = noiseOf(request, batch, shape);
      const start =
        walk.stage === 'hires'
          ? await this.hiresStart(request, walk, before, noise, scheduler)
          : source
            ? this.sourceStart(source, walk, batch.count, noise, scheduler)
            : null;
      const from = start?.from ?? 0;
      const calls = scheduler.timesteps.length - from;
      let clean: (() => Float32Array) | null = null;
      latents = new Float32Array(
        await denoise({
          unet: defined(this.unet),
          scheduler,
          count: batch.count,
          noise: noise.draw,
          ...(start ? { start } : {}),
          ...(start?.adjust ? { adjust: start.adjust } : {}),
          shape: [shape[1], shape[2], shape[3]],
          ...walk.conditioning,
          guidanceScale: request.guidanceScale,
          ...shortcutsOf(request),
          precision: precisionOf(request),
          ...(signal ? { signal } : {}),
          ...(interrupted ? { interrupted } : {}),
          onStep: (step, _latents, pointedTo, done) => {
            clean = pointedTo;
            const call = step - from;
            const fraction = progress.at(batch.index, walks.indexOf(walk), done);
            return options.onStep?.({
              call,
              calls,
              batch: batch.index,
              stage: walk.stage,
              fraction,
              preview: (mode) => this.painter.paint(pointedTo(), size, mode),
            });
          },
        }),
      );
      isPartial = interrupted?.() ?? false;
      if (isPartial && clean) latents = new Float32Array((clean as () => Float32Array)());
      if (isPartial) break;
    }
    return this.decodeBatch(request, batch, latents, shape, source, isPartial, options);
  }

  private async decodeBatch(
    request: GenerationRequest,
    batch: Batch,
    latents: Float32Array,
    [, h, w, c]: LatentShape,
    source: Source | null,
    isPartial: boolean,
    { onPicture, signal }: GenerationOptions,
  ): Promise<DrawnPicture[]> {
    const vae = await this.loadVae(false);
    const drawn: DrawnPicture[] = [];
    for (let i = 0; i < batch.count; i++) {
      signal?.throwIfAborted();
      const own = latents.slice(i * h * w * c, (i + 1) * h * w * c);
      const image = await decodeLatents(vae, own, [h, w], { tiled: request.vaeTiling ?? false });
      this.painter.learn(image, own);
      const picture = {
        index: batch.firstPicture + i,
        seed: defined(batch.seeds[i]),
        image: source?.mask ? pasteUnmasked(image, source.image, source.mask.paste) : image,
        isPartial,
      };
      onPicture?.(picture);
      drawn.push(picture);
    }
    return drawn;
  }

  private get unet(): UNet2DCondition | null {
    return this.lent.unet ?? this.ownUnet;
  }

  private async loadUNet(onStatus?: (detail: string) => void): Promise<UNet2DCondition> {
    if (this.unet) return this.unet;
    onStatus?.('Loading the UNet');
    this.ownUnet = await this.model.loadUNet();
    return this.ownUnet;
  }

  private async loadVae(needsEncoder: boolean): Promise<AutoencoderKL> {
    if (this.vae && (this.vae.hasEncoder || !needsEncoder)) return this.vae.model;
    this.vae?.model.dispose();
    this.vae = null;
    const model = await this.model.loadVae({ encoder: needsEncoder, decoder: true });
    this.vae = { model, hasEncoder: needsEncoder };
    return model;
  }

  private schedulerOf({ scheduler, schedulerOptions }: GenerationRequest, steps: number): Scheduler {
    return createScheduler(scheduler, this.model.schedulerConfig, steps, schedulerOptions);
  }

  private latentShape(count: number, { width, height }: Pick<Walk, 'width' | 'height'>): LatentShape {
    const unit = resolutionUnit(this.model);
    return [count, height / unit, width / unit, this.model.unetConfig.inChannels];
  }

  /** How many calls a walk takes. */
  private callsOf({ steps, strength }: Walk, request: GenerationRequest): number {
    const scheduler = this.schedulerOf(request, steps);
    return scheduler.timesteps.length - (strength === null ? 0 : startIndex(scheduler, steps, strength));
  }

  private async walksOf(request: GenerationRequest, options: GenerationOptions): Promise<Walk[]> {
    const { signal, onStatus } = options;
    const { width, height, numInferenceSteps, init, hires } = request;
    // A1111 counts the steps at which prompts change in calls of the UNet: two a step for schedulers of second order.
    const callsIn = (steps: number): number => steps * this.schedulerOf(request, steps).order;
    const conditioning = (steps: number, stepsBefore = 0): Promise<Conditioning> =>
      this.prompts.conditioning(
        { ...request, loras: request.loras.map(textEncoderPart) },
        { calls: callsIn(steps), before: stepsBefore === 0 ? 0 : callsIn(stepsBefore) },
        { ...(signal ? { signal } : {}), ...(onStatus ? { onStatus } : {}) },
      );
    const first: Walk = {
      stage: 'first',
      width,
      height,
      steps: numInferenceSteps,
      strength: init?.strength ?? null,
      conditioning: await conditioning(numInferenceSteps),
    };
    if (!hires) return [first];
    const steps = hires.steps === 0 ? numInferenceSteps : hires.steps;
    return [
      first,
      {
        stage: 'hires',
        ...hiresSize(request, resolutionUnit(this.model)),
        steps,
        strength: hires.strength,
        conditioning: await conditioning(steps, numInferenceSteps),
      },
    ];
  }

  private async sourceOf(request: GenerationRequest, onStatus?: (detail: string) => void): Promise<Source> {
    const { width, height, init, vaeTiling = false } = request;
    const { image, resizeMode, mask, maskBlur = 0 } = defined(init);
    onStatus?.('Encoding the picture');
    const fitted = fitTo(image, width, height, resizeMode);
    const vae = await this.loadVae(true);
    const moments = await vae.encode(toModelRange(fitted), [1, height, width], { tiled: vaeTiling });
    if (!mask) return { image: fitted, moments, mask: null };
    const full = maskOf(fitTo(mask, width, height, resizeMode));
    return {
      image: fitted,
      moments,
      mask: { latent: latentMask(full, resolutionUnit(this.model)), paste: blurMask(full, maskBlur) },
    };
  }

  private sourceStart(
    { moments, mask }: Source,
    { steps, strength }: Walk,
    count: number,
    noise: BatchNoise,
    scheduler: Scheduler,
  ): Start {
    const clean = this.latentsOf([moments], count, noise);
    const startNoise = noise.draw();
    const from = startIndex(scheduler, steps, defined(strength ?? undefined));
    const begun = startFromLatents(scheduler, clean, startNoise, from);
    if (!mask) return begun;
    // diffusers encodes the masked picture too, which only other UNets take, but which draws from the generator.
    noise.posterior();
    return {
      ...begun,
      // diffusers' inpainting begins with noise alone where nothing is to be left.
      ...(strength === 1 ? { latents: startNoise.map((value) => value * scheduler.initNoiseSigma) } : {}),
      adjust: keepUnmasked(scheduler, clean, startNoise, mask.latent, this.model.unetConfig.inChannels),
    };
  }

  private async hiresStart(
    request: GenerationRequest,
    { width, height, steps, strength }: Walk,
    before: { readonly latents: Float32Array; readonly shape: LatentShape },
    noise: BatchNoise,
    scheduler: Scheduler,
  ): Promise<Start> {
    const [count, h, w, c] = before.shape;
    const unit = resolutionUnit(this.model);
    let clean: Float32Array;
    if (defined(request.hires).upscaler === 'latent') {
      clean = resizeLatents(before.latents, before.shape, [height / unit, width / unit]);
    } else {
      const tiled = request.vaeTiling ?? false;
      const vae = await this.loadVae(true);
      const moments: LatentMoments[] = [];
      for (let i = 0; i < count; i++) {
        const own = before.latents.subarray(i * h * w * c, (i + 1) * h * w * c);
        const image = resizeLanczos(await decodeLatents(vae, own, [h, w], { tiled }), width, height);
        moments.push(await vae.encode(toModelRange(image), [1, height, width], { tiled }));
      }
      clean = this.latentsOf(moments, count, noise);
    }
    const from = startIndex(scheduler, steps, defined(strength ?? undefined));
    return startFromLatents(scheduler, clean, noise.draw(), from);
  }

  /** Latents drawn from the distributions of pictures: one for each of the batch, or one for all. */
  private latentsOf(moments: readonly LatentMoments[], count: number, noise: BatchNoise): Float32Array {
    const drawn = noise.posterior();
    const size = drawn.length / count;
    const out = new Float32Array(drawn.length);
    for (let i = 0; i < count; i++) {
      const of = moments[i] ?? defined(moments[0]);
      const own = sampleLatents(of, drawn.subarray(i * size, (i + 1) * size), this.model.vaeConfig.scalingFactor);
      out.set(own, i * size);
    }
    return out;
  }
}

function textEncoderPart({ adapter, weight, textEncoderWeight = weight }: PluggedAdapter): {
  readonly adapter: Adapter;
  readonly weight: number;
} {
  return { adapter, weight: textEncoderWeight };
}

function noiseOf({ noiseDevice, seedMode }: GenerationRequest, batch: Batch, [, h, w, c]: LatentShape): BatchNoise {
  return seedMode === 'diffusers'
    ? noiseOfBatch(defined(batch.seeds[0]), batch.count, [h, w, c], noiseDevice)
    : noiseOfEach(batch.seeds, [h, w, c], noiseDevice);
}

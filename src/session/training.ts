/**
 * One training run from pictures to an adapter, wiring the stages in order: prompts -> embeddings, free CLIP; images ->
 * latents, free the VAE; UNet, adapter, steps; sample grids in between. The studio's worker and the command line both run this.
 */
import { layersToTrain, TrainableAdapter } from '../adapter/trainable.ts';
import { checkTrainOptions, type TrainOptionProblem } from '../core/checkTrainOptions.ts';
import type { CropChoice } from '../core/buckets.ts';
import { LoratoryError } from '../core/errors.ts';
import type { RgbImage } from '../core/image.ts';
import { defined } from '../core/invariant.ts';
import type { KnownModule, LoraModule } from '../formats/lora/types.ts';
import { trimMemory } from '../gpu/ops.ts';
import { runtime } from '../gpu/runtime.ts';
import { clipModules, unetModules } from '../models/adaptable.ts';
import type { DiffusionModel } from '../models/repository.ts';
import { learningRateAt } from '../core/learningRate.ts';
import { planBatch, type BatchPlan } from '../trainer/batches.ts';
import { NonFiniteStepError } from '../trainer/errors.ts';
import { buildBatch, diffusionSettings, noiseConfigOf, predictClean } from '../trainer/batch.ts';
import { LoraTrainer } from '../trainer/trainer.ts';
import type { TrainOptions } from '../core/trainOptions.ts';
import type { ExampleLoss, StripEntry, TrainRecord } from '../worker/protocol.ts';
import type { TrainControl } from './control.ts';
import { prepare } from './preparation.ts';
import { drawSamples, type SampleReport } from './samples.ts';
import { StripPainter } from './strips.ts';
import { TrainRecorder } from './trainRecord.ts';

/** The training set has no usable image. */
export class EmptyDatasetError extends LoratoryError {
  readonly code = 'empty-dataset';

  constructor() {
    super('There are no images to train on.', 'Add at least one image.');
  }
}

/** A setting is outside what can be trained. */
export class TrainOptionError extends LoratoryError {
  readonly code = 'train-option';

  /** `problems`: at least one; its sentence becomes the message. */
  constructor(problems: readonly TrainOptionProblem[]) {
    const first = defined(problems[0]);
    super(first.message, first.remedy, { option: first.option, value: first.value, problems });
  }
}

export interface TrainingImage {
  readonly id: string;
  readonly caption: string;
  /** How often an epoch shows it; null: as the options say. */
  readonly repeats?: number | null;
  /** Null: the centre. */
  readonly crop?: CropChoice | null;
  /** Kept for validation, not trained on. */
  readonly heldOut?: boolean;
  /** Decodes the picture; called once, when its latents are computed. */
  pixels(): Promise<RgbImage>;
  /** Decodes its mask, white where it is to be learned: of its shape, of any size. Null: all of it is. */
  readonly mask?: (() => Promise<RgbImage>) | null;
}

export interface StepReport {
  /** Steps done, 1-based. */
  readonly globalStep: number;
  readonly loss: number;
  readonly learningRate: number;
  readonly msPerStep: number;
  readonly etaSeconds: number;
  readonly gpuBytes: number;
  readonly gpuPeakBytes: number;
  /** Loss of each picture of the batch, before any weighting. */
  readonly examples: readonly ExampleLoss[];
  /** The losses of all pictures of all steps so far. */
  readonly record: () => TrainRecord;
  /** Pictures of this step's batch; computed only if asked for, which must be before `onStep` resolves. */
  readonly strip: () => Promise<StripEntry[]>;
}

export interface TrainingEvents {
  /** What is being done, in words; progress 0..1 where known. */
  onStatus?(phase: 'preparing' | 'training' | 'sampling' | 'paused', detail: string, progress: number | null): void;
  /** The next step waits for it. */
  onStep?(report: StepReport): void | Promise<void>;
  onSample?(report: SampleReport): void;
  /** The adapter so far, from time to time and at the end: store it, so that no work is lost. */
  onCheckpoint?(modules: readonly LoraModule[], globalStep: number): Promise<void>;
}

export interface TrainingRequest {
  readonly model: DiffusionModel;
  readonly images: readonly TrainingImage[];
  readonly triggerWord: string;
  readonly options: TrainOptions;
}

export interface TrainingResult {
  readonly modules: readonly LoraModule[];
  readonly globalStep: number;
  readonly stopped: boolean;
}

/** An adapter is handed to `onCheckpoint` at least this often while training. */
const checkpointEveryMs = 60_000;

/** Throws {@link TrainOptionError} for settings that cannot be trained with this model: the first problem, with all of them in its facts. */
export function checkTrainingOptions(options: TrainOptions, model: DiffusionModel, imageCount?: number): void {
  const sizeUnit = resolutionUnit(model);
  const imageSize = model.unetConfig.sampleSize * sizeUnit;
  const context = { imageSize, sizeUnit, ...(imageCount === undefined ? {} : { imageCount }) };
  const problems = checkTrainOptions(options, context);
  if (problems.length > 0) throw new TrainOptionError(problems);
}

/** All layers of the UNet and the text encoder that an adapter may change, known without loading their weights. */
export function adaptableModules(model: DiffusionModel): Required<KnownModule>[] {
  return [...unetModules(model.unetConfig), ...clipModules(model.textConfig)];
}

/** Sides of pictures must be multiples of this many pixels: what the VAE makes one latent pixel of. */
export function resolutionUnit(model: DiffusionModel): number {
  return 2 ** (model.vaeConfig.blockOutChannels.length - 1);
}

/**
 * Trains an adapter. `control` pauses, stops or asks for a sample; stopping keeps what was learnt.
 *
 * @throws {EmptyDatasetError | TrainOptionError} before anything is loaded.
 */
export async function trainLora(
  request: TrainingRequest,
  control: TrainControl,
  events: TrainingEvents,
): Promise<TrainingResult> {
  const { model, images, options } = request;
  if (images.length === 0) throw new EmptyDatasetError();
  checkTrainingOptions(options, model, images.length);
  const { signal } = control;
  const { examples, embeddings, preview } = await prepare(request, {
    signal,
    onStatus: (detail, progress) => events.onStatus?.('preparing', detail, progress),
  });

  events.onStatus?.('preparing', 'Loading the UNet', 0);
  const unet = await model.loadUNet((done) => events.onStatus?.('preparing', 'Loading the UNet', done));
  const adapter = TrainableAdapter.create(layersToTrain({ unet: unet.adaptableLayers }, options), options);
  const trainer = new LoraTrainer({ unet }, adapter.parameterGroups(), options);
  const settings = diffusionSettings(options, noiseConfigOf(options, model.schedulerConfig));
  const strips = new StripPainter(model, preview);
  const imageIds = images.map(({ id }) => id);
  const recorder = new TrainRecorder(imageIds);

  const sample = async (globalStep: number): Promise<void> => {
    const drawn = await drawSamples(model, unet, embeddings, options, {
      signal,
      onProgress: (detail, progress) => events.onStatus?.('sampling', detail, progress),
    });
    events.onSample?.({ globalStep, images: drawn });
  };

  try {
    const plan: BatchPlan = {
      ...options,
      images: images.map(() => ({ bucket: 'square', repeats: options.repeats, crops: 1, isClass: false })),
      numTrainTimesteps: settings.alphasCumprod.length,
    };
    let globalStep = 0;
    let lastCheckpoint = performance.now();
    let msPerStep = 0;
    const wantsSamples = options.sampleEvery > 0 && options.samplePrompts.length > 0;
    if (wantsSamples) await sample(0);
    while (globalStep < options.maxTrainSteps) {
      if (control.paused) {
        events.onStatus?.('paused', 'Paused', globalStep / options.maxTrainSteps);
        await events.onCheckpoint?.(await adapter.toModules(), globalStep);
        await control.untilResumed();
      }
      if (control.stopRequested) break;
      signal.throwIfAborted();
      const started = performance.now();
      const planned = Array.from({ length: options.gradientAccumulationSteps }, (_, i) => {
        const number = globalStep * options.gradientAccumulationSteps + i;
        const entries = planBatch(plan, number);
        const { scalingFactor } = model.vaeConfig;
        return {
          entries,
          batch: buildBatch(entries, examples, { ...options, batch: number, scalingFactor, settings }),
        };
      });
      const learningRate = learningRateAt(options, globalStep);
      const result = await trainer.step(
        planned.map(({ batch }) => batch),
        learningRate,
      );
      const { loss, exampleLosses, predictions } = result;
      if (!result.applied) throw new NonFiniteStepError(globalStep + 1, loss, result.gradientNorm, learningRate);
      globalStep++;
      const record = planned.flatMap(({ entries }, i) =>
        entries.map(({ image, timestep }, j) => ({ image, timestep, loss: exampleLosses[i]![j]! })),
      );
      recorder.add(globalStep, record);
      const ms = performance.now() - started;
      // The first step compiles the kernels, so it does not enter the running mean.
      msPerStep = globalStep <= 2 ? ms : msPerStep * 0.9 + ms * 0.1;
      const { counters } = runtime();
      events.onStatus?.(
        'training',
        `Step ${globalStep} of ${options.maxTrainSteps}`,
        globalStep / options.maxTrainSteps,
      );
      await events.onStep?.({
        globalStep,
        loss,
        learningRate,
        msPerStep,
        etaSeconds: ((options.maxTrainSteps - globalStep) * msPerStep) / 1000,
        gpuBytes: counters.liveBytes,
        gpuPeakBytes: counters.peakBytes,
        examples: recorder.named(record),
        record: () => recorder.read(),
        strip: () => {
          const { entries, batch } = defined(planned[0]);
          return strips.paint(entries, imageIds, batch, predictClean(batch, defined(predictions[0]), settings));
        },
      });
      const due = wantsSamples && (globalStep % options.sampleEvery === 0 || globalStep === options.maxTrainSteps);
      if (due || control.takeSampleRequest()) await sample(globalStep);
      if (performance.now() - lastCheckpoint > checkpointEveryMs) {
        await events.onCheckpoint?.(await adapter.toModules(), globalStep);
        lastCheckpoint = performance.now();
      }
    }
    const modules = await adapter.toModules();
    await events.onCheckpoint?.(modules, globalStep);
    return { modules, globalStep, stopped: globalStep < options.maxTrainSteps };
  } finally {
    strips.dispose();
    trainer.dispose();
    adapter.dispose();
    unet.dispose();
    trimMemory();
  }
}

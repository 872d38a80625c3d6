/**
 * One training run from pictures to an adapter, wiring the stages in order: prompts -> embeddings, free CLIP; images ->
 * latents, free the VAE; UNet, adapter, steps; sample grids in between. The studio's worker and the command line both run this.
 */
import { layersToTrain, TrainableAdapter } from '../adapter/trainable.ts';
import { checkTrainOptions, type TrainOptionProblem } from '../core/checkTrainOptions.ts';
import type { CropChoice } from '../core/buckets.ts';
import { stepsPerEpoch } from '../core/epochs.ts';
import { LoratoryError } from '../core/errors.ts';
import type { RgbImage } from '../core/image.ts';
import { defined } from '../core/invariant.ts';
import type { KnownModule, LoraModule } from '../formats/lora/types.ts';
import { prepareHalfPrecision } from '../gpu/kernels/matrixCheck.ts';
import { trimMemory } from '../gpu/ops.ts';
import { encodePrompts, type PromptEmbedding } from '../latents/embeddings.ts';
import type { ClipTextEncoder } from '../models/clip.ts';
import { runtime } from '../gpu/runtime.ts';
import { clipModules, unetModules } from '../models/adaptable.ts';
import { type DiffusionModel, resolutionUnit } from '../models/repository.ts';
import type { Checkpoint } from '../trainer/checkpoint.ts';
import { type DiffusionSettings, diffusionSettings, noiseConfigOf } from '../trainer/batch.ts';
import { LoraTrainer } from '../trainer/trainer.ts';
import { validate, type ValidationBatch, validationBatches } from '../trainer/validation.ts';
import type { TrainOptions } from '../core/trainOptions.ts';
import type { ExampleLoss, RunEventKind, StripEntry, TrainRecord, ValidationPoint } from '../worker/protocol.ts';
import type { ClassImageStore } from './classImages.ts';
import type { TrainControl } from './control.ts';
import type { Trial } from './preflight.ts';
import { captionsReady, prepare, type Prepared } from './preparation.ts';
import { drawSamples, sampleTexts, type SampleReport } from './samples.ts';
import { StripPainter } from './strips.ts';
import { TrainingLoop } from './trainingLoop.ts';
import { trainingWarnings } from './trainingWarnings.ts';
import { recordStep } from './trainingStep.ts';

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
  /** Of the run: as its epochs want it, where they decide. */
  readonly maxTrainSteps: number;
  readonly loss: number;
  readonly learningRate: number;
  readonly msPerStep: number;
  readonly etaSeconds: number;
  readonly gpuBytes: number;
  readonly gpuPeakBytes: number;
  /** Loss of each picture of the batch, before any weighting. */
  readonly examples: readonly ExampleLoss[];
  /** Pictures of this step's batch; computed only if asked for, which must be before `onStep` resolves. */
  readonly strip: () => Promise<StripEntry[]>;
}

export interface CheckpointReport {
  readonly checkpoint: Checkpoint;
  /** The adapter in it. */
  readonly modules: readonly LoraModule[];
  readonly record: TrainRecord;
}

export interface TrainingEvents {
  /** What is being done, in words; progress 0..1 where known. */
  onStatus?(phase: 'preparing' | 'training' | 'sampling' | 'paused', detail: string, progress: number | null): void;
  /** The next step waits for it. */
  onStep?(report: StepReport): void | Promise<void>;
  /** Training waits for it, so that a step's samples are stored before its checkpoint. */
  onSample?(report: SampleReport): void | Promise<void>;
  /** The loss on held-out images; a run that is rolled back measures some steps again. */
  onValidation?(point: ValidationPoint): void | Promise<void>;
  /** The state so far, before the first step, from time to time and at the end: store it, so that no work is lost. */
  onCheckpoint?(report: CheckpointReport): Promise<void>;
  /** Reads back what `onCheckpoint` stored at this step, of which the newest and those that checkpointPolicy.ts names are needed. */
  loadCheckpoint?(globalStep: number): Promise<Checkpoint>;
  /** Asked before the first step of a new run, if given, with what two trial steps showed. False ends it there: nothing has been kept. */
  onTrial?(trial: Trial): Promise<boolean>;
  /** Something for the run's log. */
  onEvent?(kind: RunEventKind, globalStep: number, text: string): void;
}

export interface TrainingRequest {
  readonly model: DiffusionModel;
  readonly images: readonly TrainingImage[];
  readonly triggerWord: string;
  readonly options: TrainOptions;
  /** Goes on from here. Images, captions and options must be those of the run that wrote it, except for what a branch may change. */
  readonly resumeFrom?: Checkpoint;
  /** Where class images are kept; without it they are drawn anew. */
  readonly classImageStore?: ClassImageStore;
}

export interface TrainingResult {
  readonly modules: readonly LoraModule[];
  readonly globalStep: number;
  readonly stopped: boolean;
}

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

/**
 * Trains an adapter; see trainingLoop.ts for what happens between the steps. `control` pauses, stops or asks for a sample; stopping keeps what was learnt.
 *
 * @throws {EmptyDatasetError | TrainOptionError | HalfPrecisionError} before anything is loaded.
 */
export async function trainLora(
  request: TrainingRequest,
  control: TrainControl,
  events: TrainingEvents,
): Promise<TrainingResult> {
  try {
    return await train(request, control, events);
  } finally {
    control.end();
  }
}

async function train(request: TrainingRequest, control: TrainControl, events: TrainingEvents): Promise<TrainingResult> {
  const { model, images } = request;
  if (images.length === 0) throw new EmptyDatasetError();
  checkTrainingOptions(request.options, model, images.length);
  const { signal } = control;
  const progress = {
    signal,
    onStatus: (detail: string, done: number) => events.onStatus?.('preparing', detail, done),
  };
  const half = request.options.mixedPrecision === 'fp16' ? await prepareHalfPrecision() : null;
  const prepared = await prepare(request, progress);
  const { options, imageIds, embeddings, preview } = prepared;

  events.onStatus?.('preparing', 'Loading the UNet', 0);
  /** What is to be freed, the last first: also where loading or making the next fails. */
  const held: { dispose(): void }[] = [];
  const hold = <T extends { dispose(): void }>(one: T): T => {
    held.push(one);
    return one;
  };
  try {
    const unet = hold(
      await model.loadUNet(
        (done) => events.onStatus?.('preparing', 'Loading the UNet', done),
        options.weightsPrecision,
      ),
    );
    const textEncoder = options.textEncoder.train ? hold(await loadTrainedTextEncoder(model, events)) : null;
    signal.throwIfAborted();
    const adapter = hold(
      TrainableAdapter.create(
        layersToTrain({ unet: unet.adaptableLayers, textEncoder: textEncoder?.layersInUse(options) ?? [] }, options),
        options,
      ),
    );
    const trained = { unet, adapter, ...(textEncoder ? { textEncoder } : {}) };
    const trainer = hold(new LoraTrainer(trained, adapter.parameterGroups(), options));
    const settings = diffusionSettings(options, noiseConfigOf(options, model.schedulerConfig));
    if (!request.resumeFrom)
      for (const warning of trainingWarnings(options, settings)) events.onEvent?.('warning', 0, warning);
    if (half) {
      const step = request.resumeFrom?.position.globalStep ?? 0;
      events.onEvent?.('precision', step, `Mixed precision, products computed by ${half.computedBy}.`);
    }
    const strips = hold(new StripPainter(model, preview));
    const stepParts = {
      model,
      prepared,
      settings,
      trainer,
      strips,
      captionsReady: (batch: number) => captionsReady(prepared, batch, progress),
    };
    const heldOut = prepareValidation(prepared, settings, model.vaeConfig.scalingFactor);
    const modules = (): Promise<LoraModule[]> => trainer.withAverage(() => adapter.toModules());
    const loop = new TrainingLoop(
      {
        options,
        imageIds,
        live: { unet, adapter, modules },
        counters: runtime().counters,
        step: (globalStep, learningRateFactor) => recordStep(stepParts, globalStep, learningRateFactor),
        readState: () => trainer.readState(),
        restoreState: (state) => trainer.restoreState(state),
        sample: (onProgress) =>
          trainer.withAverage(async () => {
            const present = textEncoder
              ? await encodePrompts(textEncoder, model.tokenizer, sampleTexts(options), {
                  clipSkip: options.clipSkip,
                  signal,
                })
              : embeddings;
            return drawSamples(model, unet, present, options, { signal, onProgress });
          }),
        validate:
          heldOut && (() => trainer.withAverage(() => validate(heldOut, (batch) => trainer.validationLoss(batch)))),
        epochsAfter: (steps) => steps / stepsPerEpoch(prepared.plan, options.gradientAccumulationSteps),
      },
      control,
      events,
    );
    return await loop.run(request.resumeFrom ?? null);
  } finally {
    for (const one of held.toReversed()) one.dispose();
    trimMemory();
  }
}

/** A text encoder that is trained stays on the GPU beside the UNet: it reads the captions anew in every step. */
function loadTrainedTextEncoder(model: DiffusionModel, events: TrainingEvents): Promise<ClipTextEncoder> {
  const detail = 'Loading the text encoder to train it';
  return model.loadTextEncoder((done) => events.onStatus?.('preparing', detail, done));
}

/** The batches that validations go over; null if there are to be none. */
function prepareValidation(
  { options, validation, embeddings }: Prepared,
  settings: DiffusionSettings,
  scalingFactor: number,
): ValidationBatch[] | null {
  if (options.validation.everySteps === 0 || validation.examples.length === 0) return null;
  const embeddingOf = (caption: string): PromptEmbedding => embeddings.get(caption);
  const batchSize = options.trainBatchSize;
  return validationBatches(validation.examples, options.validation, {
    settings,
    scalingFactor,
    batchSize,
    embeddingOf,
  });
}

/** What a training needs before its first step: class images, captions as embeddings, pictures as latents. Each model is freed again. */
import { captionWithTrigger } from '../core/captions.ts';
import { batchesOfStep, type PlannedImage, resolveTrainSteps } from '../core/epochs.ts';
import { LoratoryError } from '../core/errors.ts';
import type { RgbImage } from '../core/image.ts';
import { defined } from '../core/invariant.ts';
import type { TrainOptions } from '../core/trainOptions.ts';
import { heldOutImages } from '../core/validationSplit.ts';
import { trimMemory } from '../gpu/ops.ts';
import { CaptionEmbeddings } from '../latents/captionEmbeddings.ts';
import { fitPreview, type LatentPreview } from '../latents/preview.ts';
import { resolutionUnit } from '../models/repository.ts';
import { captionsOf, type TrainingExample } from '../trainer/batch.ts';
import { planBatch, type BatchPlan } from '../trainer/batches.ts';
import { classImages } from './classImages.ts';
import { cropsPerImage, prepareImage, type PreparedImage } from './exampleImages.ts';
import { sampleTexts } from './samples.ts';
import type { TrainingImage, TrainingRequest } from './training.ts';

/** Nothing is left to train on. */
export class AllHeldOutError extends LoratoryError {
  readonly code = 'all-held-out';

  constructor(count: number) {
    super(
      `All ${count} images are kept for validation, so none is left to train on.`,
      'Take the mark “Keep for validation” off most of them.',
      { count },
    );
  }
}

/** Images that are trained on, or those that are held out. */
export interface ExampleSet {
  /** Parallel lists. */
  readonly examples: readonly TrainingExample[];
  readonly imageIds: readonly string[];
}

export interface Prepared extends ExampleSet {
  /** The request's, with `maxTrainSteps` as `maxTrainEpochs` wants it. */
  readonly options: TrainOptions;
  /** By the index of the example. */
  readonly plan: BatchPlan;
  /** Held out; their captions are neither shuffled nor dropped. */
  readonly validation: ExampleSet;
  /** Of captions, sample prompts and the empty prompt. Of shuffled captions, see {@link captionsReady}. */
  readonly embeddings: CaptionEmbeddings;
  readonly preview: LatentPreview;
}

interface Progress {
  readonly signal: AbortSignal;
  /** What is being done, in words; 0..1. */
  readonly onStatus: (detail: string, progress: number) => void;
}

/** An image before it is encoded. */
interface Source extends Pick<TrainingImage, 'id' | 'caption' | 'crop' | 'pixels' | 'mask'> {
  readonly repeats: number;
  readonly kind: 'own' | 'class' | 'heldOut';
}

export async function prepare(request: TrainingRequest, progress: Progress): Promise<Prepared> {
  const { model, options } = request;
  const sources = [...sourcesOf(request), ...(await classSources(request, progress))];
  const { images, preview } = await encodeImages(request, sources, progress);
  const setOf = (...kinds: readonly Source['kind'][]): ExampleSet & { readonly planned: readonly PlannedImage[] } => {
    const chosen = sources.flatMap((source, i) =>
      kinds.includes(source.kind) ? [{ source, image: defined(images[i]) }] : [],
    );
    return {
      imageIds: chosen.map(({ source }) => source.id),
      examples: chosen.map(({ source, image }) => exampleOf(source, image, options)),
      planned: chosen.map(({ source, image }) => ({
        bucket: image.bucket,
        repeats: source.repeats,
        crops: image.crops.length,
        isClass: source.kind === 'class',
      })),
    };
  };
  const { planned, ...trained } = setOf('own', 'class');
  const { planned: _, ...validation } = setOf('heldOut');
  const plan: BatchPlan = {
    ...options,
    images: planned,
    numTrainTimesteps: numTrainTimesteps(model.schedulerConfig),
  };
  const prepared = { ...trained, validation, plan, options: resolveTrainSteps(options, planned) };
  return { ...prepared, embeddings: await encodeCaptions(request, prepared, progress), preview };
}

function numTrainTimesteps(schedulerConfig: Readonly<Record<string, unknown>>): number {
  const steps = schedulerConfig['num_train_timesteps'];
  return typeof steps === 'number' ? steps : 1000;
}

/** The request's images, in their order. */
function sourcesOf({ images, triggerWord, options }: TrainingRequest): Source[] {
  const heldOut = heldOutImages(images, options.validation);
  if (!heldOut.includes(false)) throw new AllHeldOutError(images.length);
  return images.map((image, i) => ({
    ...image,
    caption: captionWithTrigger(triggerWord, image.caption),
    repeats: image.repeats ?? options.repeats,
    kind: heldOut[i] === true ? 'heldOut' : 'own',
  }));
}

async function classSources(
  { model, options, classImageStore }: TrainingRequest,
  progress: Progress,
): Promise<Source[]> {
  if (!options.priorPreservation.enabled) return [];
  const pictures = await classImages(model, options, classImageStore ?? null, progress);
  return pictures.map((picture, i) => ({
    id: `class image ${i + 1}`,
    caption: options.priorPreservation.classPrompt,
    repeats: 1,
    kind: 'class',
    pixels: async () => picture,
  }));
}

function exampleOf({ caption, kind }: Source, { crops }: PreparedImage, options: TrainOptions): TrainingExample {
  return { crops, caption, weight: kind === 'class' ? options.priorPreservation.weight : 1 };
}

async function encodeImages(
  { model, options }: TrainingRequest,
  sources: readonly Source[],
  { signal, onStatus }: Progress,
): Promise<{ readonly images: readonly PreparedImage[]; readonly preview: LatentPreview }> {
  onStatus('Loading the image encoder', 0);
  const vae = await model.loadVae({ encoder: true, decoder: false }, (done) =>
    onStatus('Loading the image encoder', done),
  );
  try {
    const count = cropsPerImage(options, sources.length, model);
    const factor = resolutionUnit(model);
    const images: PreparedImage[] = [];
    const pairs: { readonly image: RgbImage; readonly latents: TrainingExample['crops'][number]['latents'] }[] = [];
    for (const [index, source] of sources.entries()) {
      signal.throwIfAborted();
      onStatus(`Encoding image ${index + 1} of ${sources.length}`, index / sources.length);
      // Held out images are looked at in one place: their loss is to change by what was learnt alone.
      const how = source.kind === 'heldOut' ? { ...options, randomCrop: false, flipProbability: 0 } : options;
      const prepared = await prepareImage(vae, source, how, { index, count, factor });
      images.push({ ...prepared });
      pairs.push({ image: prepared.picture, latents: defined(prepared.crops[0]).latents });
    }
    return { images, preview: fitPreview(pairs, model.vaeConfig.scalingFactor) };
  } finally {
    vae.dispose();
    trimMemory();
  }
}

/** The captions of batch number `from` and of those after it, as often as they are asked for. */
function* captionsFrom(
  { plan, examples, options }: Pick<Prepared, 'plan' | 'examples' | 'options'>,
  from: number,
): Generator<readonly string[]> {
  // Two steps are tried before the first, be it the only one.
  const lastStep = Math.max(2, options.maxTrainSteps) - 1;
  const last = defined(batchesOfStep(plan, options.gradientAccumulationSteps, lastStep).at(-1));
  for (let batch = from; batch <= last; batch++) yield captionsOf(planBatch(plan, batch), examples, options);
}

async function encodeCaptions(
  { model, options }: TrainingRequest,
  prepared: Pick<Prepared, 'plan' | 'examples' | 'options' | 'validation'>,
  progress: Progress,
): Promise<CaptionEmbeddings> {
  const { maxPositions, hiddenSize } = model.textConfig;
  const embeddings = new CaptionEmbeddings({
    load: (onProgress) => model.loadTextEncoder(onProgress),
    tokenizer: model.tokenizer,
    clipSkip: options.clipSkip,
    embeddingBytes: 4 * maxPositions * hiddenSize,
  });
  const captions = prepared.examples.map(({ caption }) => caption);
  const kept = [
    ...(options.shuffleTags ? [] : captions),
    ...prepared.validation.examples.map(({ caption }) => caption),
    ...sampleTexts(options),
    '',
  ];
  await embeddings.keep(kept, options.shuffleTags ? captionsFrom(prepared, 0) : [], progress);
  return embeddings;
}

/** Makes sure that the captions of batch number `batch` are encoded: at once, but for shuffled ones now and then. */
export async function captionsReady(prepared: Prepared, batch: number, progress: Progress): Promise<void> {
  if (prepared.options.shuffleTags) await prepared.embeddings.ready(() => captionsFrom(prepared, batch), progress);
}

/** The requests that draw: a queue of jobs, each from its request to the pictures with their parameters. */
import type { RgbImage } from '../core/image.ts';
import { decodeImageFile } from '../dataset/accept.ts';
import { formatParameters } from '../formats/pngParameters.ts';
import type { DrawnPicture, ImageGenerator, StepProgress } from '../session/generation.ts';
import type { GenerationRequest, InitPicture, PluggedAdapter } from '../session/generationRequest.ts';
import { pictureParameters, type UsedLora } from '../session/parameters.ts';
import type { RunStore } from '../storage/runStore.ts';
import { composeGrid } from './composeGrid.ts';
import { decodeInBrowser } from './decodeImage.ts';
import type { GpuSession } from './gpuSession.ts';
import { JobQueue, type JobControl } from './jobQueue.ts';
import type { Library } from './library.ts';
import { taggedLoras } from './loraSources.ts';
import { pngBlob } from './pictures.ts';
import type {
  GeneratedPicture,
  GenerateRequest,
  GenerateResult,
  InitImage,
  PreviewMode,
  QueueState,
} from './protocol.ts';
import type { Handlers, RequestContext } from './server.ts';

export type GenerationHandlers = Pick<
  Handlers,
  'generate' | 'plot.compose' | Extract<keyof Handlers, `queue.${string}`>
>;

interface Parts {
  readonly gpu: GpuSession;
  readonly runs: RunStore;
  readonly library: Library;
  readonly onQueue: (state: QueueState) => void;
}

export function generationHandlers(parts: Parts): GenerationHandlers {
  const queue = new JobQueue(parts.onQueue);
  return {
    generate: (request, context) => {
      const jobId = request.jobId ?? crypto.randomUUID();
      const { prompt, modelId, batchSize = 1, batchCount = 1 } = request;
      const facts = { jobId, prompt, modelId, pictureCount: batchSize * batchCount };
      return queue.run(facts, context.signal, (control) =>
        parts.gpu.generate(
          modelId,
          (generator) => draw(jobId, request, { ...parts, generator, control, context }),
          control.signal,
        ),
      );
    },
    'queue.list': async () => queue.list(),
    'queue.cancel': async ({ jobId }) => {
      queue.cancel(jobId);
      return null;
    },
    'queue.cancelAll': async () => {
      queue.cancelAll();
      return null;
    },
    'queue.interrupt': async ({ jobId }) => {
      queue.interrupt(jobId);
      return null;
    },
    'queue.move': async ({ jobId, index }) => queue.move(jobId, index),
    'plot.compose': ({ grid, pictures, parameters }) => composeGrid(grid, pictures, parameters),
  };
}

interface Job extends Pick<Parts, 'runs' | 'library'> {
  readonly generator: ImageGenerator;
  readonly control: JobControl;
  readonly context: RequestContext;
}

async function draw(jobId: string, request: GenerateRequest, job: Job): Promise<GenerateResult> {
  const { generator, control, context } = job;
  const { signal, interrupted } = control;
  signal.throwIfAborted();
  const started = performance.now();
  const loras = await lorasOf(request, job);
  const { initImage, batchSize = 1, batchCount = 1 } = request;
  const asked: GenerationRequest = {
    ...request,
    loras,
    embeddings:
      request.syntax === 'plain' ? [] : await job.library.embeddingsFor(generator.model, request.embeddingIds),
    ...(initImage ? { init: await initOf(initImage) } : {}),
  };
  const pictures: GeneratedPicture[] = [];
  const previews = new Previews(request.preview ?? 'none');
  let firstStep = 0;
  let firstFraction = 0;
  await generator.draw(asked, {
    signal,
    interrupted,
    onStatus: (detail) => context.emit('generate.status', { jobId, detail }),
    onStep: async ({ call, calls, batch, stage, fraction, preview }) => {
      const now = performance.now();
      // The first step loads and compiles: what it takes says little about the others.
      if (firstStep === 0) [firstStep, firstFraction] = [now, fraction];
      const perPart =
        fraction > firstFraction ? (now - firstStep) / (fraction - firstFraction) : (now - started) / fraction;
      context.emit('generate.progress', {
        jobId,
        step: call,
        numInferenceSteps: calls,
        etaSeconds: ((1 - fraction) * perPart) / 1000,
        fraction,
        batch,
        batchCount,
        stage,
        previews: await previews.next(preview),
      });
    },
    onPicture: (picture) => {
      const finished = finish(picture, jobId, asked, loras, generator.model.name, batchSize);
      pictures.push(finished);
      context.emit('generate.picture', finished);
    },
  });
  return { jobId, pictures, milliseconds: performance.now() - started };
}

/** The adapters of the prompt box and of the prompt's tags. One that is off is plugged at 0, so that switching it on loads nothing. */
async function lorasOf(
  request: GenerateRequest,
  { generator, runs, library }: Job,
): Promise<(PluggedAdapter & UsedLora)[]> {
  const tagged =
    request.syntax === 'plain' ? [] : taggedLoras(request.prompt, await runs.list(), await library.listLoras());
  return Promise.all(
    [...request.loras, ...tagged].map(async ({ source, weight, textEncoderWeight, enabled = true }) => ({
      ...(await library.sources.adapter(source, generator.model)),
      weight: enabled ? weight : 0,
      ...(enabled && textEncoderWeight !== undefined ? { textEncoderWeight } : {}),
    })),
  );
}

async function initOf({ image, mask, ...rest }: InitImage): Promise<InitPicture> {
  return {
    ...rest,
    image: await decode(image, 'The picture'),
    ...(mask ? { mask: await decode(mask, 'The mask') } : {}),
  };
}

async function decode(blob: Blob, name: string): Promise<RgbImage> {
  return decodeImageFile(blob, blob instanceof File ? blob.name : name, decodeInBrowser);
}

/** Previews now and then: a few a second at most, and no more than a tenth of the time. */
class Previews {
  private notBefore = 0;

  constructor(private readonly mode: PreviewMode) {}

  async next(paint: StepProgress['preview']): Promise<readonly RgbImage[]> {
    const started = performance.now();
    if (this.mode === 'none' || started < this.notBefore) return [];
    const painted = await paint(this.mode);
    const took = performance.now() - started;
    this.notBefore = started + Math.max(250, 10 * took);
    return painted;
  }
}

function finish(
  { index, seed, image, isPartial }: DrawnPicture,
  jobId: string,
  request: GenerationRequest,
  loras: readonly UsedLora[],
  modelName: string,
  batchSize: number,
): GeneratedPicture {
  const used = loras.filter(({ weight, textEncoderWeight = weight }) => weight !== 0 || textEncoderWeight !== 0);
  const parameters = formatParameters(
    pictureParameters({ ...request, seed }, { modelName, loras: used, batchPosition: index % batchSize }),
  );
  const { width, height } = image;
  return { jobId, index, seed, png: pngBlob(image, { parameters }), width, height, parameters, isPartial };
}

/** Drawing: the form's requests as jobs of the worker's queue, and redraws while a slider moves, of which the newest wins. */
import { type PlainError, toPlainError } from '../core/errors.ts';
import { isAborted } from '../worker/client.ts';
import type { GeneratedPicture, GenerateProgress, GenerateRequest, QueueState } from '../worker/protocol.ts';
import { formRequest, type GenerateForm, generateFormErrors, initialGenerateForm } from './generateForm.ts';
import { type InitPicture, initImageOf } from './initPicture.ts';
import { createLatestWins } from './latestWins.ts';
import { sizesInUse } from './modelDefaults.ts';
import { recallForm, remember } from './persisted.ts';
import { loraName, pluggedLoras } from './shelf.ts';
import type { SliceContext, StudioState } from './slice.ts';

/** A job that this page has asked for and that is not finished. */
export interface DrawingJob {
  readonly jobId: string;
  readonly request: GenerateRequest;
  /** When it was asked for, and once it is its turn, when that came. Milliseconds since 1970. */
  readonly startedAt: number;
  /** What is being done before the first step. */
  readonly status: string | null;
  readonly progress: GenerateProgress | null;
  readonly cancelling: boolean;
}

export interface DrawOptions {
  readonly signal: AbortSignal;
  /** Whether finished pictures go to the gallery. */
  readonly keep: boolean;
}

export interface GenerateSlice {
  readonly generateForm: GenerateForm;
  /** A picture to begin with; of this visit only. */
  readonly initPicture: InitPicture | null;
  /** In the order in which they were asked for. */
  readonly jobs: readonly DrawingJob[];
  /** As the worker has it. */
  readonly queue: QueueState;
  readonly generateError: PlainError | null;
  readonly generateFieldEdited: <F extends keyof GenerateForm>(field: F, value: GenerateForm[F]) => void;
  readonly generateFormChanged: (values: Partial<GenerateForm>) => void;
  readonly initPictureChanged: (picture: InitPicture | null) => void;
  readonly generatePressed: () => void;
  /** Draws the same seed again, a moment after the last wish, if there is something to compare with. */
  readonly redrawWished: () => void;
  readonly jobCancelled: (jobId: string) => void;
  /** Ends a job after its step and keeps what it has. */
  readonly jobInterrupted: (jobId: string) => void;
  readonly jobMoved: (jobId: string, index: number) => Promise<void>;
  readonly queueCleared: () => void;
  /** Draws a request as a job of its own; rejects with what went wrong. */
  readonly drawingRequested: (request: GenerateRequest, options: DrawOptions) => Promise<readonly GeneratedPicture[]>;
}

const redrawDelayMs = 180;

/** The request that the form stands for, or null while something is missing or wrong. */
export function generateRequestOf(state: StudioState): GenerateRequest | null {
  const { generateForm: form, initPicture, selectedModelId: modelId } = state;
  if (modelId === null || Object.keys(generateFormErrors(form, sizesInUse(state))).length > 0) return null;
  const initImage = initImageOf(initPicture, form);
  return { modelId, ...formRequest(form), ...(initImage ? { initImage } : {}), loras: pluggedLoras(state) };
}

/** The job with its newest progress. Previews come now and then: between two of them, the last one of the batch stays. */
function advanced(job: DrawingJob, progress: GenerateProgress): DrawingJob {
  const before = job.progress;
  const goesOn = before?.batch === progress.batch && before.stage === progress.stage;
  const previews = progress.previews.length === 0 && goesOn ? before.previews : progress.previews;
  return { ...job, progress: { ...progress, previews } };
}

/** The job that is being drawn, or made ready; null while nothing is. */
export function runningJob({ jobs, queue }: Pick<StudioState, 'jobs' | 'queue'>): DrawingJob | null {
  const running = queue.find(({ state }) => state === 'running');
  return jobs.find(({ jobId }) => jobId === running?.jobId) ?? jobs[0] ?? null;
}

export function randomSeed(): number {
  return crypto.getRandomValues(new Uint32Array(1))[0] ?? 0;
}

export function createGenerateSlice({ client, set, get }: SliceContext): GenerateSlice {
  const latest = createLatestWins();
  const controllers = new Map<string, AbortController>();
  let redraw: ReturnType<typeof setTimeout> | undefined;
  let hasDrawn = false;
  client.on('queue.changed', (queue) => set({ queue }));

  const changeJob = (jobId: string, values: Partial<DrawingJob>): void =>
    set(({ jobs }) => ({ jobs: jobs.map((job) => (job.jobId === jobId ? { ...job, ...values } : job)) }));

  const draw: GenerateSlice['drawingRequested'] = async (request, { signal, keep }) => {
    const jobId = crypto.randomUUID();
    const job: DrawingJob = { jobId, request, startedAt: Date.now(), status: null, progress: null, cancelling: false };
    const controller = new AbortController();
    const abort = (): void => controller.abort();
    signal.addEventListener('abort', abort);
    controllers.set(jobId, controller);
    const loraNames = request.loras.map(({ source }) => loraName(get(), source) ?? 'LoRA');
    const kept: Promise<unknown>[] = [];
    let last = Date.now();
    set(({ jobs }) => ({ jobs: [...jobs, job] }));
    try {
      signal.throwIfAborted();
      const { pictures } = await client.request(
        'generate',
        { ...request, jobId },
        {
          signal: controller.signal,
          on: {
            'generate.status': ({ detail }) => {
              const isFirst = get().jobs.find((one) => one.jobId === jobId)?.status === null;
              changeJob(jobId, { status: detail, ...(isFirst ? { startedAt: Date.now() } : {}) });
            },
            'generate.progress': (progress) =>
              set(({ jobs }) => ({ jobs: jobs.map((one) => (one.jobId === jobId ? advanced(one, progress) : one)) })),
            'generate.picture': (picture) => {
              if (!keep) return;
              hasDrawn = true;
              const milliseconds = Date.now() - last;
              last = Date.now();
              kept.push(get().pictureDrawn(picture, request, loraNames, milliseconds));
            },
          },
        },
      );
      return pictures;
    } finally {
      await Promise.all(kept);
      signal.removeEventListener('abort', abort);
      controllers.delete(jobId);
      set(({ jobs }) => ({ jobs: jobs.filter((one) => one.jobId !== jobId) }));
    }
  };

  const drawForm = (signal: AbortSignal, request: GenerateRequest): Promise<void> => {
    set({ generateError: null });
    return draw(request, { signal, keep: true }).then(
      () => undefined,
      (error: unknown) => {
        if (!isAborted(error)) set({ generateError: toPlainError(error) });
      },
    );
  };

  return {
    generateForm: recallForm('generateForm', initialGenerateForm),
    initPicture: null,
    jobs: [],
    queue: [],
    generateError: null,
    generateFieldEdited: (field, value) => get().generateFormChanged({ [field]: value }),
    generateFormChanged: (values) => {
      const generateForm = { ...get().generateForm, ...values };
      remember('generateForm', JSON.stringify(generateForm));
      set({ generateForm });
    },
    initPictureChanged: (initPicture) => set({ initPicture }),
    generatePressed: () => {
      clearTimeout(redraw);
      if (get().generateForm.seedRule === 'random') get().generateFieldEdited('seed', String(randomSeed()));
      const request = generateRequestOf(get());
      if (request === null) return;
      get().tryViewOpened('picture');
      void drawForm(new AbortController().signal, request);
    },
    redrawWished: () => {
      clearTimeout(redraw);
      // Nothing to compare with before the first picture: then only the setting changes.
      if (!hasDrawn && get().jobs.length === 0) return;
      redraw = setTimeout(() => {
        const request = generateRequestOf(get());
        if (request === null) return;
        latest.run((signal) => drawForm(signal, { ...request, batchSize: 1, batchCount: 1 }));
      }, redrawDelayMs);
    },
    jobCancelled: (jobId) => {
      clearTimeout(redraw);
      changeJob(jobId, { cancelling: true });
      controllers.get(jobId)?.abort();
    },
    jobInterrupted: (jobId) => {
      changeJob(jobId, { cancelling: true });
      void client.request('queue.interrupt', { jobId }).catch(() => undefined);
    },
    jobMoved: async (jobId, index) => {
      try {
        set({ queue: await client.request('queue.move', { jobId, index }) });
      } catch {
        // It has begun meanwhile: the next event of the queue says so.
      }
    },
    queueCleared: () => {
      clearTimeout(redraw);
      latest.cancel();
      for (const controller of controllers.values()) controller.abort();
    },
    drawingRequested: draw,
  };
}

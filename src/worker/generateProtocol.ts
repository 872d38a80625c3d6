/** What the page and the worker say about pictures and what they are drawn with. Part of protocol.ts: plain data, nothing here runs. */
import type { PlainError } from '../core/errors.ts';
import type { RgbImage } from '../core/image.ts';
import type { GridRequest } from '../core/plotLayout.ts';
import type { Shortcuts } from '../core/shortcuts.ts';
import type { SchedulerName } from '../schedulers/index.ts';
import type { TimestepSpacing } from '../schedulers/noiseSchedule.ts';

export type { SchedulerName, TimestepSpacing };

/** Where an adapter lies: a run of ours, as it is now or as it was after a step that was kept, or a file of the library. */
export type LoraSource =
  | { readonly kind: 'run'; readonly runId: string; readonly globalStep?: number }
  | { readonly kind: 'file'; readonly loraId: string };

/** An adapter in the prompt box. One that is not enabled, or whose weights are 0, changes nothing, to the bit. */
export interface PluggedLora {
  readonly source: LoraSource;
  /** Of its part in the UNet; 1 is as trained. */
  readonly weight: number;
  /** Of its part in the text encoder; the same as `weight`, if not given. */
  readonly textEncoderWeight?: number;
  /** True unless it says otherwise. */
  readonly enabled?: boolean;
}

/** Image to image: the walk's last part, from this picture. */
export interface InitImage {
  /** Any picture that the browser knows; it is brought to the request's size. */
  readonly image: Blob;
  /** 0..1: how much of the walk is done again. 1 leaves nothing of the picture but, with a mask, what the mask keeps. */
  readonly strength: number;
  /** `crop` (the middle, proportions kept), unless it says otherwise. */
  readonly resizeMode?: 'crop' | 'stretch';
  /** Inpainting: white is drawn again, black is kept to the bit. As large as `image`, brought to size with it. */
  readonly mask?: Blob;
  /** The mask's edge is blurred over so many pixels of the result, 0 by default. */
  readonly maskBlur?: number;
}

/** Hires fix: drawn small first, then enlarged and drawn again in part. */
export interface HiresFix {
  /** The second picture's sides are this times the request's, rounded down to the model's unit. Above 1. */
  readonly scale: number;
  /** Steps of the second walk before strength cuts it; 0: as many as the first. */
  readonly steps: number;
  /** 0..1, as of image to image. */
  readonly strength: number;
  /** `latent`: bilinear on the latents. `lanczos`: on the picture, which is encoded again. */
  readonly upscaler: HiresUpscaler;
}

export type HiresUpscaler = 'latent' | 'lanczos';

/**
 * How the seeds of several pictures follow. `a1111`: picture i has the seed + i, and each can be drawn again alone. `diffusers`: the
 * pictures of a batch are drawn from one generator, as `num_images_per_prompt` with one generator does; batch i has the seed + i.
 */
export type SeedMode = 'a1111' | 'diffusers';

/** `auto`: TAESD where the model has it, else the latents' own colours. */
export type PreviewMode = 'auto' | 'colours' | 'none';

export interface GenerateRequest extends Shortcuts {
  /** The page's own name for the job, for the queue; one is made up where none is given. */
  readonly jobId?: string;
  readonly modelId: string;
  readonly prompt: string;
  readonly negativePrompt: string;
  readonly seed: number;
  readonly numInferenceSteps: number;
  readonly guidanceScale: number;
  readonly width: number;
  readonly height: number;
  readonly scheduler: SchedulerName;
  /** What is not given is as the model and the scheduler have it. */
  readonly schedulerOptions?: { readonly timestepSpacing?: TimestepSpacing; readonly useKarrasSigmas?: boolean };
  /** `cpu` unless it says otherwise: torch's numbers on the CPU, as diffusers; `gpu`: on a GPU, as A1111. */
  readonly noiseDevice?: 'cpu' | 'gpu';
  /** `a1111` unless it says otherwise: weights, chunks, prompts that change. `plain`: all of it is text, as in diffusers. */
  readonly syntax?: 'a1111' | 'plain';
  /** 1, the text encoder's last layer, unless it says otherwise. */
  readonly clipSkip?: number;
  /** Pictures drawn at once, 1 unless it says otherwise (diffusers' num_images_per_prompt, A1111's batch size). */
  readonly batchSize?: number;
  /** Batches, one after another, 1 unless it says otherwise (A1111's batch count). */
  readonly batchCount?: number;
  readonly seedMode?: SeedMode;
  readonly initImage?: InitImage;
  readonly hires?: HiresFix;
  readonly loras: readonly PluggedLora[];
  /** Textual-inversion files of the library that the prompts may name; all that fit the model, if not given. */
  readonly embeddingIds?: readonly string[];
  /** `none` unless it says otherwise. */
  readonly preview?: PreviewMode;
  /** Encode and decode in tiles even where the whole fits; they are always used where it does not. */
  readonly vaeTiling?: boolean;
  /** `no` unless it says otherwise; `fp16` rounds the factors of the UNet's products to halves, and needs a GPU with `shader-f16`. */
  readonly mixedPrecision?: 'no' | 'fp16';
}

export interface GenerateProgress {
  readonly jobId: string;
  /** Steps done of the walk in progress; a step of a scheduler of second order is two. */
  readonly step: number;
  readonly numInferenceSteps: number;
  /** Of the whole job. */
  readonly etaSeconds: number;
  /** 0..1 of the whole job. */
  readonly fraction: number;
  /** What is being drawn: the batch, counted from 0, and whether it is the second walk of hires fix. */
  readonly batch: number;
  readonly batchCount: number;
  readonly stage: 'first' | 'hires';
  /** What the pictures of the batch are becoming; empty if none were asked for, and at steps between two of them: they come a few times a second at most. */
  readonly previews: readonly RgbImage[];
}

/** One finished picture. */
export interface GeneratedPicture {
  readonly jobId: string;
  /** Its place among the job's pictures, from 0. */
  readonly index: number;
  readonly seed: number;
  readonly png: Blob;
  readonly width: number;
  readonly height: number;
  /** The text of the PNG's `parameters`, in A1111's form. */
  readonly parameters: string;
  /** True of what an interrupted walk had come to. */
  readonly isPartial: boolean;
}

export interface GenerateResult {
  readonly jobId: string;
  /** All, or those that were finished when the job was interrupted. At least one. */
  readonly pictures: readonly GeneratedPicture[];
  readonly milliseconds: number;
}

/** A job that waits or is being drawn. */
export interface QueuedJob {
  readonly jobId: string;
  readonly state: 'running' | 'waiting';
  readonly prompt: string;
  readonly modelId: string;
  readonly pictureCount: number;
}

/** The job in progress first, then those that wait, in order. */
export type QueueState = readonly QueuedJob[];

/** A LoRA file that is kept in this browser. */
export interface LibraryLora {
  readonly id: string;
  /** As the prompt's `<lora:name:1>` says it, and the person may rename it. */
  readonly name: string;
  readonly fileName: string;
  readonly origin:
    | { readonly kind: 'file' }
    | { readonly kind: 'hub'; readonly repoId: string; readonly path: string; readonly revision: string };
  readonly bytes: number;
  readonly addedAt: number;
  /** The first twelve digits of A1111's hash. */
  readonly hash: string;
  readonly about: LoraAbout;
}

/** What a LoRA file holds, as `describeLora` says it (see export/describe.ts). */
export interface LoraAbout {
  readonly isIntact: boolean | null;
  readonly form: string;
  readonly kinds: readonly string[];
  readonly tensors: number;
  readonly parameters: number;
  readonly dtypes: readonly string[];
  readonly ranks: readonly number[];
  readonly alphas: readonly number[];
  readonly unetModules: number;
  readonly textEncoderModules: number;
  readonly targets: readonly string[];
  readonly norm: number | null;
  readonly unmatched: readonly string[];
  /** Why it cannot be applied, if it cannot. */
  readonly problem: string | null;
}

/** A file's whole header beside what it holds. */
export interface LoraInfo {
  readonly name: string;
  readonly fileName: string;
  readonly bytes: number;
  readonly about: LoraAbout;
  readonly metadata: Readonly<Record<string, string>>;
  /** Which tools take the file, by their own rules. */
  readonly tools: readonly {
    readonly tool: string;
    readonly takes: 'yes' | 'partly' | 'no';
    readonly reason: string;
  }[];
}

export interface AddFilesResult<T> {
  readonly added: readonly T[];
  readonly refused: readonly { readonly fileName: string; readonly error: PlainError }[];
}

/** A repository of a Hub. `token` is used for this request only and never stored. */
export interface HubRepository {
  readonly id: string;
  readonly revision?: string;
  /** Base URL of the Hub, e.g. `https://huggingface.co`. */
  readonly endpoint: string;
  readonly token?: string;
}

/** A repository that a search found. */
export interface HubSearchHit {
  readonly id: string;
  readonly downloads: number;
  readonly likes: number;
  /** Milliseconds since 1970. */
  readonly updatedAt: number;
  readonly isGated: boolean;
  /** As its tags say, e.g. `stable-diffusion-v1-5/stable-diffusion-v1-5`; empty where they do not. */
  readonly baseModels: readonly string[];
}

/** A textual-inversion file that is kept in this browser. */
export interface LibraryEmbedding {
  readonly id: string;
  readonly fileName: string;
  /** What is typed for it. */
  readonly names: readonly string[];
  readonly tokens: number;
  /** Numbers in a token's row: 768 for SD1.5. It works with text encoders of this width only. */
  readonly width: number;
  readonly bytes: number;
  readonly addedAt: number;
}

/** What a picture was drawn with, as far as its `parameters` say and it is known here: to be put back into the form. */
export interface PictureSettings extends Partial<
  Pick<
    GenerateRequest,
    'seed' | 'numInferenceSteps' | 'guidanceScale' | 'width' | 'height' | 'scheduler' | 'mixedPrecision'
  > &
    Shortcuts
> {
  /** Without its LoRA tags: those are `loras`. */
  readonly prompt: string;
  readonly negativePrompt: string;
  readonly loras: readonly {
    readonly name: string;
    readonly unetWeight: number;
    readonly textEncoderWeight: number;
    /** The first digits of the file's hash, where the picture says them. */
    readonly hash?: string;
  }[];
  readonly schedulerOptions: NonNullable<GenerateRequest['schedulerOptions']>;
  readonly clipSkip: number;
  readonly syntax: 'a1111' | 'plain';
  readonly noiseDevice: 'cpu' | 'gpu';
  /** The model's name, without its owner's. */
  readonly model?: string;
  /** Strength of image to image or of hires fix. */
  readonly strength?: number;
  readonly hires?: HiresFix;
}

/** The part of the protocol's requests that is about pictures: [what is sent, what comes back]. */
export interface GenerateRequests {
  /**
   * Waits its turn, then draws. Sends `generate.status`, `generate.progress`, and `generate.picture` for each that is finished. A
   * cancelled one answers with `aborted`; the pictures that were sent stay good.
   */
  generate: [GenerateRequest, GenerateResult];
  'queue.list': [Record<string, never>, QueueState];
  /** Ends one job as if its request had been cancelled. Null if there is none of this id (any more). */
  'queue.cancel': [{ readonly jobId: string }, null];
  'queue.cancelAll': [Record<string, never>, null];
  /** Ends the job in progress after its step; it answers with what it has, the batch in progress as partial pictures. */
  'queue.interrupt': [{ readonly jobId: string }, null];
  /** Moves a waiting job to a place among those that wait, 0 being the next. */
  'queue.move': [{ readonly jobId: string; readonly index: number }, QueueState];
  /**
   * One labelled image of several pictures: an X/Y/Z plot (see core/plot.ts) or a grid. `pictures`: one a cell, column by column, then row
   * by row, then plane by plane; null for one that is not there. `parameters` goes into the PNG.
   */
  'plot.compose': [
    { readonly grid: GridRequest; readonly pictures: readonly (Blob | null)[]; readonly parameters?: string },
    { readonly png: Blob; readonly width: number; readonly height: number },
  ];
  'loras.list': [Record<string, never>, readonly LibraryLora[]];
  'loras.add': [{ readonly files: readonly File[] }, AddFilesResult<LibraryLora>];
  /** `path`: the file within the repository; may be left out where it has one LoRA only. Sends `download.progress`. */
  'loras.addFromHub': [HubRepository & { readonly path?: string }, LibraryLora];
  /** The safetensors files of a repository that may be LoRAs. */
  'loras.hubFiles': [HubRepository, readonly { readonly path: string; readonly bytes: number }[]];
  /** Asks the Hub; to be called only when the person asks. */
  'loras.search': [
    { readonly query: string; readonly endpoint: string; readonly token?: string; readonly limit?: number },
    readonly HubSearchHit[],
  ];
  'loras.rename': [{ readonly id: string; readonly name: string }, null];
  'loras.remove': [{ readonly ids: readonly string[] }, null];
  /** Undo of `loras.remove`, for a day. */
  'loras.restore': [{ readonly ids: readonly string[] }, readonly LibraryLora[]];
  /** Of a library's file, a run's adapter, or a file that is not added. */
  'loras.info': [{ readonly source: LoraSource } | { readonly file: File }, LoraInfo];
  /** The file's own bytes, for saving. */
  'loras.export': [{ readonly id: string }, { readonly fileName: string; readonly blob: Blob }];
  'embeddings.list': [Record<string, never>, readonly LibraryEmbedding[]];
  'embeddings.add': [{ readonly files: readonly File[] }, AddFilesResult<LibraryEmbedding>];
  'embeddings.remove': [{ readonly ids: readonly string[] }, null];
  'embeddings.restore': [{ readonly ids: readonly string[] }, readonly LibraryEmbedding[]];
  /** Whether TAESD's decoder is kept here: previews of downloaded models are then real pictures. */
  'preview.isStored': [Record<string, never>, boolean];
  /** Fetches it; the repository is madebyollin/taesd. Sends `download.progress`. */
  'preview.fetch': [HubRepository, null];
  /** Steps after which a run's adapter was kept, ascending; its present one is among them. */
  'runs.steps': [{ readonly runId: string }, readonly number[]];
}

export interface GenerateEvents {
  /** What is being done before the first step, in words. */
  'generate.status': { readonly jobId: string; readonly detail: string };
  'generate.progress': GenerateProgress;
  'generate.picture': GeneratedPicture;
  /** Of no request: the queue is another. */
  'queue.changed': QueueState;
}

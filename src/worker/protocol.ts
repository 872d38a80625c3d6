/**
 * What the page and the studio worker say to each other: plain data only, nothing here runs.
 *
 * The page sends a {@link RequestMessage}; the worker answers it with one {@link ResponseMessage} of the same `id` and may
 * send any number of {@link EventMessage}s meanwhile. A {@link CancelMessage} aborts the request of that id, which then
 * answers with an error of code `aborted`.
 */
import type { CropChoice } from '../core/buckets.ts';
import type { PlainError } from '../core/errors.ts';
import type { RgbImage } from '../core/image.ts';
import type { SamplePrompt, TrainOptions } from '../core/trainOptions.ts';
import type { KohyaImport } from '../formats/kohya/readConfig.ts';
import type { NamedText } from '../formats/kohya/toml.ts';
import type { Recipe } from '../formats/recipe.ts';
import type { TokenCount } from '../prompts/countTokens.ts';
import type { GenerateEvents, GenerateRequests } from './generateProtocol.ts';
import type { LoraToolEvents, LoraToolRequests } from './loraToolsProtocol.ts';
import type { PictureRequests } from './picturesProtocol.ts';

export type { KohyaImport, Recipe, RgbImage, SamplePrompt, TokenCount, TrainOptions };
export type * from './generateProtocol.ts';
export type * from './loraToolsProtocol.ts';
export type * from './picturesProtocol.ts';

/** The GPU as the person should know it. Bytes are what we allocated ourselves. */
export interface GpuInfo {
  readonly description: string;
  readonly vendor: string;
  readonly architecture: string;
  readonly isSoftware: boolean;
  readonly shaderF16: boolean;
  readonly subgroups: boolean;
  readonly maxStorageBufferBindingSize: number;
}

/** A model repository that is kept in this browser. */
export interface StoredModel {
  /** Hub id, e.g. `stable-diffusion-v1-5/stable-diffusion-v1-5`. */
  readonly id: string;
  /** Commit sha that the files came from. */
  readonly revision: string;
  readonly bytes: number;
  readonly savedAt: number;
}

/** A model that can be chosen, and the sizes that suit it. */
export interface ListedModel extends StoredModel {
  /** Side of the pictures that it was trained on, in pixels: 512 for SD1.5. */
  readonly imageSize: number;
  /** Sides must be multiples of this many pixels: 8 for SD1.5. */
  readonly sizeUnit: number;
  /** Comes with the page, always there: it cannot be deleted. */
  readonly isBuiltIn: boolean;
}

/** Which model to fetch and from where. `token` is used for this request only and never stored. */
export interface ModelRequest {
  readonly id: string;
  readonly revision?: string;
  /** Base URL of the Hub, e.g. `https://huggingface.co`. */
  readonly endpoint: string;
  readonly token?: string;
}

export interface DownloadProgress {
  readonly modelId: string;
  readonly file: string;
  readonly loadedBytes: number;
  readonly totalBytes: number;
  readonly bytesPerSecond: number;
}

/** One training image as the page knows it; the pixels stay in the browser's storage. */
export interface DatasetImage {
  readonly id: string;
  readonly fileName: string;
  readonly width: number;
  readonly height: number;
  readonly caption: string;
  /** How often an epoch shows it; null: as the run's options say. */
  readonly repeats: number | null;
  /** Null: the centre. */
  readonly crop: CropChoice | null;
  /** Kept for validation, not trained on. */
  readonly heldOut: boolean;
  /** Something of it is transparent. */
  readonly hasAlpha: boolean;
  /** SHA-256 of the file, hex; empty for images that an older version took in. */
  readonly contentHash: string;
  /** A small JPEG/PNG/WebP of the image, at most 256 px on its longer side, transparent where the image is. */
  readonly thumbnail: Blob;
  /** A PNG in the image's shape, white where it is to be learned and black where not; null: all of it is. */
  readonly mask: Blob | null;
}

/** What is changed of an image; what is not given stays. */
export interface ImageChange extends Partial<Pick<DatasetImage, 'caption' | 'repeats' | 'crop' | 'heldOut' | 'mask'>> {
  readonly id: string;
}

/** A file that is given to the studio, and where it lay: folders and names say what it is. */
export interface GivenFile {
  readonly path: string;
  readonly file: Blob;
}

/** The outcome of adding files: what was taken and, per refused file, why. */
export interface AddImagesResult {
  readonly added: readonly DatasetImage[];
  /** Images that were there before and got a caption or a mask. */
  readonly changed: readonly DatasetImage[];
  readonly refused: readonly { readonly fileName: string; readonly error: PlainError }[];
}

/** How one image is trained on. What is not given: the run's repeats, the centre, not held out. */
export interface TrainRequestImage {
  readonly id: string;
  readonly caption: string;
  /** How often an epoch shows it; null: as the run's options say. */
  readonly repeats?: number | null;
  readonly crop?: CropChoice | null;
  /** Kept for validation, not trained on. */
  readonly heldOut?: boolean;
}

export interface TrainRequest {
  readonly modelId: string;
  readonly name: string;
  readonly triggerWord: string;
  /** In the order in which the dataset counts them, as they are now edited. */
  readonly images: readonly TrainRequestImage[];
  /** What transparent parts of images are filled with, `#rrggbb`; white, if not given. */
  readonly background?: string;
  readonly options: TrainOptions;
}

/** idle -> preparing -> training <-> paused -> finished | stopped | failed */
export type TrainPhase = 'preparing' | 'training' | 'sampling' | 'paused' | 'finished' | 'stopped' | 'failed';

export interface TrainStatus {
  readonly runId: string;
  readonly phase: TrainPhase;
  /** What it is doing, in words, e.g. `Encoding image 3 of 20`. */
  readonly detail: string;
  /** 0..1 within the present phase, where that is known. */
  readonly progress: number | null;
}

export interface TrainStep {
  readonly runId: string;
  /** Steps done, 1-based. */
  readonly globalStep: number;
  readonly maxTrainSteps: number;
  readonly loss: number;
  readonly learningRate: number;
  readonly msPerStep: number;
  readonly etaSeconds: number;
  readonly gpuBytes: number;
  readonly gpuPeakBytes: number;
  /** Loss of each picture of the batch, before any weighting. */
  readonly examples: readonly ExampleLoss[];
  /**
   * For each image of the batch: the clean one, the noisy one, the model's present guess of the clean one. Empty for a step of
   * which no pictures were made.
   */
  readonly strip: readonly StripEntry[];
}

/** The loss on the images that are held out: always at the same timesteps and with the same noise. */
export interface ValidationPoint {
  readonly globalStep: number;
  readonly loss: number;
  readonly byTimestep: readonly { readonly timestep: number; readonly loss: number }[];
}

export interface ExampleLoss {
  readonly imageId: string;
  readonly timestep: number;
  readonly loss: number;
}

/** The losses of all pictures of all steps so far, in the order of training: parallel arrays. */
export interface TrainRecord {
  /** What `images` counts. */
  readonly imageIds: readonly string[];
  /** The step, 1-based, of each entry. */
  readonly steps: Uint32Array<ArrayBuffer>;
  readonly images: Uint16Array<ArrayBuffer>;
  readonly timesteps: Uint16Array<ArrayBuffer>;
  readonly losses: Float32Array<ArrayBuffer>;
}

export interface StripEntry {
  readonly imageId: string;
  readonly timestep: number;
  readonly flipped: boolean;
  readonly clean: RgbImage;
  readonly noisy: RgbImage;
  readonly predicted: RgbImage;
}

/** One row of the sample grid: the same prompts and seeds at another step. */
export interface SampleRow {
  readonly runId: string;
  readonly globalStep: number;
  readonly images: readonly { readonly prompt: string; readonly seed: number; readonly png: Blob }[];
}

/** What can happen to a run. `fell-back`: settings were made cheaper as the GPU's memory did not suffice. */
export type RunEventKind =
  | 'started'
  | 'needs'
  | 'resumed'
  | 'branched'
  | 'paused'
  | 'rolled-back'
  | 'fell-back'
  | 'samples'
  | 'warning'
  | 'finished'
  | 'stopped'
  | 'failed';

/** A line of a run's log. */
export interface RunEvent {
  readonly kind: RunEventKind;
  /** Milliseconds since 1970. */
  readonly at: number;
  /** Steps done when it happened. */
  readonly globalStep: number;
  /** What happened and, where something is to be done, what: whole sentences. */
  readonly text: string;
}

/** Where a branch began. */
export interface RunParent {
  readonly runId: string;
  readonly name: string;
  readonly globalStep: number;
}

export interface StoredRun {
  readonly id: string;
  readonly name: string;
  readonly modelId: string;
  readonly triggerWord: string;
  readonly startedAt: number;
  readonly finishedAt: number | null;
  readonly globalStep: number;
  readonly options: TrainOptions;
  readonly imageCount: number;
  /** Loss of every step so far. */
  readonly losses: readonly number[];
  /** Losses on held-out images so far, by step. */
  readonly validation?: readonly ValidationPoint[];
  /** The run's log, oldest first. */
  readonly events?: readonly RunEvent[];
  /** The run that this one branched off. */
  readonly parent?: RunParent;
}

/**
 * Where a run stands. `running`: in this tab; `elsewhere`: in another tab, which alone may touch it; `interrupted`: its tab was
 * closed or died while it trained.
 */
export type RunState = 'running' | 'elsewhere' | 'interrupted' | 'stopped' | 'failed' | 'finished';

export interface ListedRun extends StoredRun {
  readonly state: RunState;
}

/** A state that a run can be resumed or branched from. */
export interface CheckpointInfo {
  readonly globalStep: number;
  readonly bytes: number;
  readonly savedAt: number;
}

/** Goes on from a kept checkpoint of a run as a new run, with its images and captions and with other options. */
export interface BranchRequest {
  readonly runId: string;
  readonly globalStep: number;
  readonly name: string;
  readonly options: TrainOptions;
}

/** A run that waits for its turn. */
export interface QueuedRun {
  readonly id: string;
  readonly request: TrainRequest;
}

/** A cheaper way to train, as a button that applies it. */
export interface Proposal {
  readonly label: string;
  readonly changes: Partial<TrainOptions>;
}

/** What a training will need, measured by two trial steps with its settings. */
export interface PreflightReport {
  /** Of the second trial step. */
  readonly msPerStep: number;
  /** The whole run, samples included. */
  readonly seconds: number;
  /** Most bytes on the GPU at one time; null if the trial did not fit. */
  readonly gpuPeakBytes: number | null;
  /** Of one checkpoint. */
  readonly checkpointBytes: number;
  /** Checkpoints, adapter and samples, at most. */
  readonly diskBytes: number;
  /** Null where the browser does not say. */
  readonly diskFreeBytes: number | null;
  /** Why it does not fit, in sentences; null if it does. */
  readonly problem: string | null;
  /** What would be cheaper, the mildest first. */
  readonly proposals: readonly Proposal[];
}

/** A run of another tab, to look on. */
export interface WatchedRun {
  readonly runId: string;
  readonly name: string;
  readonly maxTrainSteps: number;
  /** Of every step so far. */
  readonly losses: readonly number[];
}

export interface PromptCountRequest {
  readonly modelId: string;
  readonly prompt: string;
  /** Of a prompt that changes over these steps, the longest text counts. */
  readonly numInferenceSteps: number;
}

export interface ExportResult {
  readonly fileName: string;
  readonly blob: Blob;
}

/** A stored run, or one as the form has it. */
export type RunSource = { readonly runId: string } | { readonly request: TrainRequest };

/** A recipe in all of its forms. */
export interface RecipeText {
  readonly recipe: Recipe;
  readonly json: string;
  /** What stands behind the `#` of a link to it. */
  readonly fragment: string;
}

/** A recipe that was read, and what of it is here. */
export interface RecipeOffer {
  readonly recipe: Recipe;
  /** What was left out or filled in, a sentence each. */
  readonly notes: readonly string[];
  /** For each of the recipe's images: the image of the dataset with the same contents, null if there is none. */
  readonly images: readonly { readonly id: string | null; readonly lacksMask: boolean }[];
  /** `different`: a model of that id with other weights. */
  readonly model: 'present' | 'different' | 'absent';
}

export interface StorageInfo {
  readonly usageBytes: number;
  readonly quotaBytes: number;
  readonly persisted: boolean;
}

/** Everything the page may ask for: [what is sent, what comes back]. */
export interface Requests extends GenerateRequests, LoraToolRequests, PictureRequests {
  'gpu.open': [Record<string, never>, GpuInfo];
  'storage.info': [Record<string, never>, StorageInfo];
  /** The built-in model first, where this page has it. */
  'models.list': [Record<string, never>, readonly ListedModel[]];
  /** Downloads what is missing (resumes); sends `download.progress`. */
  'models.download': [ModelRequest, StoredModel];
  'models.delete': [{ readonly id: string }, null];
  'dataset.list': [Record<string, never>, readonly DatasetImage[]];
  /** Pictures, captions, masks, metadata.jsonl, zips of all these; sends `dataset.progress`. See dataset/sortFiles.ts. */
  'dataset.add': [{ readonly files: readonly GivenFile[] }, AddImagesResult];
  /** All of the changes are made, or none. */
  'dataset.update': [{ readonly changes: readonly ImageChange[] }, null];
  /** The picture to look at closely: as it was given, huge ones shrunk. */
  'dataset.preview': [{ readonly id: string }, Blob];
  'dataset.remove': [{ readonly ids: readonly string[] }, null];
  /** Undo of `dataset.remove`, as long as the page is open. */
  'dataset.restore': [{ readonly ids: readonly string[] }, readonly DatasetImage[]];
  /** Answers when the run has finished, was stopped or failed; sends `train.*` events meanwhile. */
  'train.start': [TrainRequest, StoredRun];
  'train.pause': [Record<string, never>, null];
  'train.resume': [Record<string, never>, null];
  'train.stop': [Record<string, never>, null];
  'train.sampleNow': [Record<string, never>, null];
  /** Writes a checkpoint after the step in progress: the page is about to be hidden. */
  'train.checkpoint': [Record<string, never>, null];
  /** Resumes a run that was interrupted, stopped or failed, from its newest checkpoint; like `train.start` otherwise. */
  'train.continue': [{ readonly runId: string }, StoredRun];
  'train.branch': [BranchRequest, StoredRun];
  /** Trains the first run of the queue; null if there is none. */
  'train.next': [Record<string, never>, StoredRun | null];
  /** Tries two steps and keeps nothing of them. Sends `preflight.status`. */
  'train.preflight': [TrainRequest, PreflightReport];
  'runQueue.list': [Record<string, never>, readonly QueuedRun[]];
  'runQueue.add': [TrainRequest, null];
  'runQueue.remove': [{ readonly id: string }, null];
  /** Puts a run at place `to` of the queue, 0 being next. */
  'runQueue.move': [{ readonly id: string; readonly to: number }, null];
  'runs.list': [Record<string, never>, readonly ListedRun[]];
  /** By step. */
  'runs.checkpoints': [{ readonly runId: string }, readonly CheckpointInfo[]];
  'runs.record': [{ readonly runId: string }, TrainRecord];
  'runs.samples': [{ readonly runId: string }, readonly SampleRow[]];
  'runs.rename': [{ readonly runId: string; readonly name: string }, null];
  'runs.delete': [{ readonly runId: string }, null];
  /** Undo of `runs.delete`, as long as the page is open. */
  'runs.restore': [{ readonly runId: string }, null];
  'runs.export': [{ readonly runId: string }, ExportResult];
  'recipe.write': [RunSource, RecipeText];
  /** `text`: a recipe's JSON, or a link to it. */
  'recipe.read': [{ readonly text: string }, RecipeOffer];
  /** Config, dataset and prompt files of a kohya training. */
  'kohya.read': [{ readonly files: readonly NamedText[] }, KohyaImport];
  /** A zip of such files. */
  'kohya.export': [RunSource, ExportResult];
  /** A zip that trains on another machine; sends `export.progress`. */
  'job.export': [RunSource, ExportResult];
  /** Null while the model's files are not stored here. */
  'prompt.count': [PromptCountRequest, TokenCount | null];
}

export type RequestType = keyof Requests;

/** Everything the worker may say unasked. `requestId` names the request it belongs to. */
export interface Events extends GenerateEvents, LoraToolEvents {
  'download.progress': DownloadProgress;
  'dataset.progress': { readonly done: number; readonly total: number };
  /** Bytes. */
  'export.progress': { readonly done: number; readonly total: number };
  'train.status': TrainStatus;
  'train.step': TrainStep;
  'train.sample': SampleRow;
  /** What `train.preflight` is doing. */
  'preflight.status': { readonly detail: string; readonly progress: number | null };
  'train.validation': ValidationPoint & { readonly runId: string };
  'train.event': { readonly runId: string; readonly event: RunEvent };
  'runQueue.changed': readonly QueuedRun[];
  /** A run of another tab has begun or ended (null). While one goes on, its `train.*` events come here too. */
  'watch.changed': WatchedRun | null;
  /** The GPU is gone; every later GPU request fails until the page is reloaded. */
  'gpu.lost': PlainError;
}

export type EventType = keyof Events;

export type RequestMessage = {
  [T in RequestType]: {
    readonly kind: 'request';
    readonly id: number;
    readonly type: T;
    readonly payload: Requests[T][0];
  };
}[RequestType];

export interface CancelMessage {
  readonly kind: 'cancel';
  readonly id: number;
}

export type ResponseMessage =
  | { readonly kind: 'response'; readonly id: number; readonly ok: true; readonly payload: unknown }
  | { readonly kind: 'response'; readonly id: number; readonly ok: false; readonly error: PlainError };

export type EventMessage = {
  [T in EventType]: {
    readonly kind: 'event';
    readonly requestId: number | null;
    readonly type: T;
    readonly payload: Events[T];
  };
}[EventType];

export type ToWorker = RequestMessage | CancelMessage;
export type FromWorker = ResponseMessage | EventMessage;

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
import type { TrainEvents, TrainRequest, TrainRequests } from './trainProtocol.ts';

export type { KohyaImport, Recipe, RgbImage, SamplePrompt, TokenCount, TrainOptions };
export type * from './generateProtocol.ts';
export type * from './loraToolsProtocol.ts';
export type * from './picturesProtocol.ts';
export type * from './trainProtocol.ts';

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
export interface Requests extends GenerateRequests, LoraToolRequests, PictureRequests, TrainRequests {
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
export interface Events extends GenerateEvents, LoraToolEvents, TrainEvents {
  'download.progress': DownloadProgress;
  'dataset.progress': { readonly done: number; readonly total: number };
  /** Bytes. */
  'export.progress': { readonly done: number; readonly total: number };
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

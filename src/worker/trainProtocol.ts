/** What the page and the worker say about training: what is asked for, what a run says every step, what is kept of it. Part of protocol.ts: plain data, nothing here runs. */
import type { CropChoice } from '../core/buckets.ts';
import type { RgbImage } from '../core/image.ts';
import type { TrainOptions } from '../core/trainOptions.ts';

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
  | 'precision'
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

/** The part of the protocol's requests that is about training: [what is sent, what comes back]. */
export interface TrainRequests {
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
}

/** The part of the protocol's events that is about training. */
export interface TrainEvents {
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
}

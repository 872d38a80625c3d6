/** What a training is going to need, from two trial steps with its own settings; and what would be cheaper where it does not fit. */
import type { SamplePrompt, TrainOptions } from '../core/trainOptions.ts';
import { formatBytes } from '../storage/quota.ts';
import type { PreflightReport, Proposal } from '../worker/protocol.ts';
import { cheaper } from './fallback.ts';
import { sampleSettings } from './samples.ts';

/**
 * The sample prompt that takes the most memory, with a single step, for a trial; null where no samples are wanted. Validations take no
 * more than a step.
 */
export function trialSample(options: TrainOptions): SamplePrompt | null {
  if (options.sampleEvery + options.sampleEveryEpochs === 0) return null;
  const pixels = (sample: SamplePrompt): number => {
    const { width, height } = sampleSettings(sample, options);
    return width * height;
  };
  const [largest] = options.samplePrompts.toSorted((a, b) => pixels(b) - pixels(a));
  return largest ? { ...largest, numInferenceSteps: 1 } : null;
}

/** What two trial steps showed; nothing of them is kept. */
export interface Trial {
  /** Of the second step: the first compiles the kernels. */
  readonly msPerStep: number;
  /** Most bytes of all GPU buffers at one time so far, the preparation and what is shown of a step included. */
  readonly gpuPeakBytes: number;
  /** Of the trainer's state: parameters, the optimizer's memory, the average. */
  readonly stateBytes: number;
  /** Of the adapter alone. */
  readonly adapterBytes: number;
}

/** Where there is no trial, the GPU had no room for it: `gpuProblem` says so. */
interface PreflightInput {
  readonly options: TrainOptions;
  readonly trial: Trial | null;
  readonly gpuProblem: string | null;
  /** Whether a training could be done as far as sizes say: only then it is proposed. */
  readonly fits?: (options: TrainOptions) => boolean;
  /** Images that are kept for validation. */
  readonly heldOut: number;
  /** Null where the browser does not say. */
  readonly diskFreeBytes: number | null;
}

/** A step costs what two forward passes cost to go back, and one more to compute again: an image step is about a third. */
const forwardShare = 0.31;

/** PNG of a sample, at most, per pixel. */
const bytesPerPixel = 3;

export function preflightReport(input: PreflightInput): PreflightReport {
  const { options, trial, gpuProblem, diskFreeBytes, fits = () => true } = input;
  const checkpointBytes = trial === null ? 0 : trial.stateBytes + trial.adapterBytes;
  const diskBytes = checkpointBytes * checkpointsKept(options) + (trial?.adapterBytes ?? 0) + sampleBytes(options);
  const diskShort = diskFreeBytes !== null && diskBytes > diskFreeBytes;
  const msPerStep = trial?.msPerStep ?? 0;
  return {
    msPerStep,
    seconds: (msPerStep * (options.maxTrainSteps + sampleSteps(options) + validationSteps(input))) / 1000,
    gpuPeakBytes: trial?.gpuPeakBytes ?? null,
    checkpointBytes,
    diskBytes,
    diskFreeBytes,
    problem:
      gpuProblem ?? (diskShort ? 'There is no room in this browser’s storage for what the run is to keep.' : null),
    proposals: gpuProblem !== null ? cheaperOnGpu(options, fits) : diskShort ? cheaperOnDisk(options) : [],
  };
}

/** A report that found room for everything, as a line of the run's log. */
export function needsInWords({ seconds, msPerStep, gpuPeakBytes, diskBytes }: PreflightReport): string {
  const minutes = Math.max(1, Math.round(seconds / 60));
  const time = minutes < 90 ? `${minutes} min` : `${(minutes / 60).toFixed(1)} h`;
  const gpu = gpuPeakBytes === null ? '' : `${formatBytes(gpuPeakBytes)} on the GPU, `;
  return `Two trial steps: needs ${gpu}at most ${formatBytes(diskBytes)} of storage, and about ${time} at ${Math.round(msPerStep)} ms a step.`;
}

/** The most checkpoints that lie on the disk at one time: see checkpointPolicy.ts. */
function checkpointsKept({ checkpoints: { everySteps, keep }, maxTrainSteps }: TrainOptions): number {
  const asked = everySteps === 0 ? 0 : Math.floor(maxTrainSteps / everySteps);
  return (keep === 0 ? asked : Math.min(keep, asked)) + 3;
}

/** Rows of samples, at most. Where steps decide, nobody knows here how many epochs they are. */
function rowsOf(options: TrainOptions): number {
  const { sampleEvery, sampleEveryEpochs, samplePrompts, maxTrainSteps, maxTrainEpochs } = options;
  const bySteps = sampleEvery === 0 ? 0 : Math.ceil(maxTrainSteps / sampleEvery);
  const byEpochs = sampleEveryEpochs === 0 ? 0 : Math.ceil((maxTrainEpochs ?? 0) / sampleEveryEpochs);
  return samplePrompts.length === 0 || sampleEvery + sampleEveryEpochs === 0 ? 0 : 1 + bySteps + byEpochs;
}

function sampleBytes(options: TrainOptions): number {
  return rowsOf(options) * options.samplePrompts.length * options.resolution ** 2 * bytesPerPixel;
}

/** What the samples cost, in training steps. */
function sampleSteps(options: TrainOptions): number {
  const { samplePrompts, sampleInferenceSteps, sampleGuidanceScale } = options;
  const passes = rowsOf(options) * samplePrompts.length * sampleInferenceSteps * (sampleGuidanceScale > 1 ? 2 : 1);
  return passesInSteps(passes, options);
}

/** What the validations cost, in training steps: one before the first step, then every so many, and one after the last. */
function validationSteps({ options, heldOut }: PreflightInput): number {
  const { maxTrainSteps, validation } = options;
  if (validation.everySteps === 0) return 0;
  const times = 1 + Math.ceil(maxTrainSteps / validation.everySteps);
  return passesInSteps(times * heldOut * validation.timesteps.length, options);
}

/** Forward passes of one picture, in training steps. */
function passesInSteps(
  passes: number,
  { trainBatchSize, gradientAccumulationSteps }: Pick<TrainOptions, 'trainBatchSize' | 'gradientAccumulationSteps'>,
): number {
  return (passes * forwardShare) / (trainBatchSize * gradientAccumulationSteps);
}

/** The mildest first: those that keep the result, then smaller pictures, then a smaller adapter; of each, the first that may fit. */
function cheaperOnGpu(options: TrainOptions, fits: (options: TrainOptions) => boolean): Proposal[] {
  const proposals: Proposal[] = [];
  let changes: Partial<TrainOptions> = {};
  for (let next = cheaper(options); next !== null; next = cheaper({ ...options, ...changes })) {
    changes = { ...changes, ...next.changes };
    if (!fits({ ...options, ...changes })) continue;
    proposals.push({ label: `Train with ${next.words}`, changes });
    break;
  }
  for (let side = smallerSide(options.resolution); side >= 64; side = smallerSide(side)) {
    if (!fits({ ...options, resolution: side })) continue;
    proposals.push({ label: `Train at ${side} px`, changes: { resolution: side } });
    break;
  }
  if (options.rank > 4) {
    const rank = Math.ceil(options.rank / 2);
    const alpha = options.alpha * (rank / options.rank);
    if (fits({ ...options, rank, alpha }))
      proposals.push({ label: `Train a LoRA of rank ${rank}`, changes: { rank, alpha } });
  }
  return proposals;
}

const smallerSide = (side: number): number => Math.floor((side * 0.75) / 64) * 64;

function cheaperOnDisk(options: TrainOptions): Proposal[] {
  const { checkpoints, sampleEvery } = options;
  const proposals: Proposal[] = [];
  if (checkpoints.everySteps > 0) {
    const changes = { checkpoints: { ...checkpoints, everySteps: 0 } };
    proposals.push({ label: 'Keep the latest state only', changes });
  }
  if (sampleEvery > 0)
    proposals.push({ label: 'Draw samples half as often', changes: { sampleEvery: sampleEvery * 2 } });
  return proposals;
}

/**
 * A training from its first or its next step to its last, with all that happens between two steps: pauses, wishes from outside,
 * samples, checkpoints, and the return to a good state when numbers overflow.
 *
 * While the GPU computes a step, the next one is recorded already, unless something is due between them: so a step's loss is read
 * one step late, and whatever looks at the model's state waits until no step is in progress.
 *
 * What a step learns depends on the options, the step's number and the state before it, so a run that goes on from a checkpoint ends
 * in the same bytes as one that was never stopped. A step's samples are drawn before its checkpoint is written: whoever goes on from
 * there misses none.
 */
import { LoratoryError } from '../core/errors.ts';
import { defined } from '../core/invariant.ts';
import type { TrainOptions } from '../core/trainOptions.ts';
import type { GpuCounters } from '../gpu/memory.ts';
import type { Checkpoint } from '../trainer/checkpoint.ts';
import type { ValidationLoss } from '../trainer/validation.ts';
import { checkpointGrid, lastOnGrid } from './checkpointPolicy.ts';
import type { LiveModel, TrainControl } from './control.ts';
import type { Trial } from './preflight.ts';
import type { SampleReport } from './samples.ts';
import type { TrainingEvents, TrainingResult } from './training.ts';
import type { RecordedStep } from './trainingStep.ts';
import { TrainRecorder } from './trainRecord.ts';

/** The numbers overflowed again and again, however small the steps were made. */
export class TrainingDivergedError extends LoratoryError {
  readonly code = 'training-diverged';

  constructor(globalStep: number, learningRate: number, keptStep: number) {
    super(
      `At step ${globalStep} the loss is no longer a number, and halving the learning rate ${mostRollbacks} times, to ${rateText(learningRate)}, did not help.`,
      `Choose a learning rate far below ${rateText(learningRate)}, take out pictures that are blank or damaged, and start again. What was learnt until step ${keptStep} is kept.`,
      { globalStep, learningRate, keptStep },
    );
  }
}

/** After so many returns with half the learning rate each, the run gives up. */
const mostRollbacks = 3;

/** While training, a checkpoint is written at least this often. */
const checkpointEveryMs = 60_000;

/** What the loop puts in order. All that computes lies behind these. */
export interface LoopParts {
  readonly options: TrainOptions;
  /** By the index that steps name images by. */
  readonly imageIds: readonly string[];
  readonly live: LiveModel;
  readonly counters: Pick<GpuCounters, 'liveBytes' | 'peakBytes'>;
  /** Records the step after `globalStep` steps, at `learningRateFactor` times the learning rate of that step. */
  step(globalStep: number, learningRateFactor: number): Promise<RecordedStep>;
  /** Everything that a step changes. */
  readState(): Promise<Checkpoint['state']>;
  restoreState(state: Checkpoint['state']): void;
  sample(onProgress: (detail: string, progress: number) => void): Promise<SampleReport['images']>;
  /** Epochs that so many steps are, in fractions. */
  epochsAfter(steps: number): number;
  /** The loss on images that are held out; null where there is none to measure. */
  readonly validate: (() => Promise<ValidationLoss>) | null;
}

export class TrainingLoop {
  private globalStep = 0;
  private learningRateFactor = 1;
  private rollbacks: number[] = [];
  private losses: number[] = [];
  private readonly recorder: TrainRecorder;
  /** The last checkpoint of the grid, for hosts that store none. */
  private lastGood: Checkpoint | null = null;
  private writtenStep = -1;
  private writtenAt = performance.now();
  private msPerStep = 0;
  private stepsHere = 0;
  /** The step after the one in progress, if it is with the GPU already. */
  private ahead: RecordedStep | null = null;

  constructor(
    private readonly parts: LoopParts,
    private readonly control: TrainControl,
    private readonly events: TrainingEvents,
  ) {
    this.recorder = new TrainRecorder(parts.imageIds);
  }

  async run(resumeFrom: Checkpoint | null): Promise<TrainingResult> {
    try {
      return await this.train(resumeFrom);
    } finally {
      // However it ends, nothing of it goes on on the GPU.
      await this.dropAhead();
    }
  }

  private async train(resumeFrom: Checkpoint | null): Promise<TrainingResult> {
    const { control, events } = this;
    const { options, live } = this.parts;
    const { maxTrainSteps } = options;
    if (resumeFrom) {
      this.restore(resumeFrom);
    } else {
      if (events.onTrial && !(await events.onTrial(await this.trial())))
        return { modules: await live.modules(), globalStep: 0, stopped: true };
      if (this.wantsSamples) await this.sample();
      await this.validate();
      await this.writeCheckpoint();
    }
    while (this.globalStep < maxTrainSteps) {
      control.signal.throwIfAborted();
      if (!this.ahead) {
        await this.betweenSteps();
        if (control.stopRequested) break;
        control.signal.throwIfAborted();
      }
      if (!(await this.step())) {
        await this.rollBack();
        continue;
      }
      if (this.ahead) continue;
      if (this.samplesAreDue(this.globalStep) || control.takeSampleRequest()) await this.sample();
      if (this.validationIsDue(this.globalStep)) await this.validate();
      if (this.checkpointIsDue() && !(await this.writeCheckpoint())) await this.rollBack();
    }
    if (this.writtenStep !== this.globalStep && !(await this.writeCheckpoint())) await this.rollBack();
    events.onStatus?.('training', 'Keeping what was learnt', 1);
    return {
      modules: await live.modules(),
      globalStep: this.globalStep,
      stopped: this.globalStep < maxTrainSteps,
    };
  }

  /** Two steps to see what they need; afterwards all is as it was before. */
  private async trial(): Promise<Trial> {
    const { parts, events } = this;
    const before = await parts.readState();
    let msPerStep = 0;
    for (const step of [0, 1]) {
      events.onStatus?.('preparing', `Trying step ${step + 1} of 2`, step / 2);
      const started = performance.now();
      const { result } = await parts.step(step, 1);
      const { strip } = await result;
      msPerStep = performance.now() - started;
      // What a run shows of its steps takes memory, too. The run's own first steps are to be shown all the same.
      await strip(false);
    }
    parts.restoreState(before);
    return {
      msPerStep,
      gpuPeakBytes: parts.counters.peakBytes,
      stateBytes: sum(Array.from(before.values(), ({ byteLength }) => byteLength)),
      adapterBytes: sum((await parts.live.modules()).map(({ down, up }) => down.byteLength + up.byteLength)),
    };
  }

  /** Waits while the run is paused, and does what was asked for from outside. */
  private async betweenSteps(): Promise<void> {
    const { control, events } = this;
    const { live, options } = this.parts;
    await control.runInterlude(live);
    if (!control.paused) return;
    events.onStatus?.('paused', 'Paused', this.globalStep / options.maxTrainSteps);
    // Numbers that overflowed come to light with the next step.
    if (this.writtenStep !== this.globalStep) await this.writeCheckpoint();
    await control.untilResumed(live);
  }

  /** Trains one step and reports it; false if its numbers overflowed. */
  private async step(): Promise<boolean> {
    const { events, parts } = this;
    const { maxTrainSteps } = parts.options;
    const started = performance.now();
    const current = this.ahead ?? (await this.record(this.globalStep));
    // Where recording the next one fails, this one is what is waited for.
    this.ahead = current;
    this.ahead = this.mayRunAhead() ? await this.record(this.globalStep + 1) : null;
    const step = await current.result;
    if (!step.applied) return false;
    this.globalStep++;
    this.stepsHere++;
    const { globalStep } = this;
    this.losses.push(step.loss);
    this.recorder.add(globalStep, step.examples);
    const ms = performance.now() - started;
    // The first step compiles the kernels, so it does not enter the running mean.
    this.msPerStep = this.stepsHere <= 2 ? ms : this.msPerStep * 0.9 + ms * 0.1;
    const { counters } = parts;
    events.onStatus?.('training', `Step ${globalStep} of ${maxTrainSteps}`, globalStep / maxTrainSteps);
    await events.onStep?.({
      globalStep,
      maxTrainSteps,
      loss: step.loss,
      learningRate: step.learningRate,
      msPerStep: this.msPerStep,
      etaSeconds: ((maxTrainSteps - globalStep) * this.msPerStep) / 1000,
      gpuBytes: counters.liveBytes,
      gpuPeakBytes: counters.peakBytes,
      examples: this.recorder.named(step.examples),
      strip: () => step.strip(),
    });
    return true;
  }

  private async record(globalStep: number): Promise<RecordedStep> {
    const recorded = await this.parts.step(globalStep, this.learningRateFactor);
    // Its error is thrown to whoever awaits it, which may be nobody if the step before fails.
    recorded.result.catch(() => {});
    return recorded;
  }

  /** Whether the step after the one in progress may begin before that one's end: if nothing is to happen between them. */
  private mayRunAhead(): boolean {
    const next = this.globalStep + 1;
    const { maxTrainSteps, checkpoints } = this.parts.options;
    return !(
      next >= maxTrainSteps ||
      this.control.isWaiting ||
      this.samplesAreDue(next) ||
      this.validationIsDue(next) ||
      next % checkpointGrid(checkpoints) === 0 ||
      performance.now() - this.writtenAt > checkpointEveryMs
    );
  }

  /** Waits for a step that is in progress for nothing, as the one before it failed. */
  private async dropAhead(): Promise<void> {
    const { ahead } = this;
    this.ahead = null;
    await ahead?.result.catch(() => {});
  }

  private async sample(): Promise<void> {
    const { events, globalStep } = this;
    const images = await this.parts.sample((detail, progress) => events.onStatus?.('sampling', detail, progress));
    await events.onSample?.({ globalStep, images });
  }

  private get wantsSamples(): boolean {
    const { sampleEvery, sampleEveryEpochs, samplePrompts } = this.parts.options;
    return sampleEvery + sampleEveryEpochs > 0 && samplePrompts.length > 0;
  }

  /** After every so many steps, after the step that ends every so manieth epoch, and after the last. */
  private samplesAreDue(globalStep: number): boolean {
    const { parts } = this;
    const { sampleEvery, sampleEveryEpochs, maxTrainSteps } = parts.options;
    const rounds = (steps: number): number => Math.floor(parts.epochsAfter(steps) / sampleEveryEpochs);
    const endsRound = sampleEveryEpochs > 0 && rounds(globalStep) > rounds(globalStep - 1);
    return this.wantsSamples && (globalStep === maxTrainSteps || globalStep % sampleEvery === 0 || endsRound);
  }

  private validationIsDue(globalStep: number): boolean {
    const { validation, maxTrainSteps } = this.parts.options;
    return globalStep % validation.everySteps === 0 || globalStep === maxTrainSteps;
  }

  private async validate(): Promise<void> {
    const { parts, events, globalStep } = this;
    if (!parts.validate) return;
    events.onStatus?.('training', 'Measuring the loss on held-out images', globalStep / parts.options.maxTrainSteps);
    await events.onValidation?.({ globalStep, ...(await parts.validate()) });
  }

  private checkpointIsDue(): boolean {
    const { checkpoints, maxTrainSteps } = this.parts.options;
    const onGrid = this.globalStep % checkpointGrid(checkpoints) === 0;
    const asked = this.control.takeCheckpointRequest();
    // The last one within the loop, which goes on if there are overflowed numbers in it.
    const isLast = this.globalStep === maxTrainSteps;
    return onGrid || asked || isLast || performance.now() - this.writtenAt > checkpointEveryMs;
  }

  /** Hands the state to be stored; false, and nothing is stored, if there are overflowed numbers in it. */
  private async writeCheckpoint(): Promise<boolean> {
    const { events, globalStep, learningRateFactor, rollbacks, recorder } = this;
    const { live, options } = this.parts;
    const state = await this.parts.readState();
    if (hasOverflowed(state)) return false;
    const { steps, images, timesteps, losses } = recorder.read();
    const checkpoint: Checkpoint = {
      position: { globalStep, learningRateFactor, rollbacks },
      state,
      history: {
        losses: Float32Array.from(this.losses),
        steps: Int32Array.from(steps),
        images: Int32Array.from(images),
        timesteps: Int32Array.from(timesteps),
        exampleLosses: losses,
      },
    };
    if (globalStep === lastOnGrid(globalStep, options.checkpoints)) this.lastGood = checkpoint;
    await events.onCheckpoint?.({ checkpoint, modules: await live.modules(), record: recorder.read() });
    this.writtenStep = globalStep;
    this.writtenAt = performance.now();
    return true;
  }

  private restore({ position, state, history }: Checkpoint): void {
    const { globalStep, learningRateFactor, rollbacks } = position;
    this.parts.restoreState(state);
    this.globalStep = globalStep;
    this.writtenStep = globalStep;
    this.learningRateFactor = learningRateFactor;
    this.rollbacks = [...rollbacks];
    this.losses = [...history.losses];
    this.recorder.restore(
      {
        steps: Uint32Array.from(history.steps),
        images: Uint16Array.from(history.images),
        timesteps: Uint16Array.from(history.timesteps),
        losses: history.exampleLosses,
      },
      globalStep,
    );
  }

  /**
   * The step that was to come has overflowed: back to the last checkpoint of the grid, with half the learning rate from there on. The
   * new rate is stored in that checkpoint's place, so that a run that is killed now goes on alike.
   */
  private async rollBack(): Promise<void> {
    const { events, rollbacks, learningRateFactor } = this;
    const { checkpoints, learningRate } = this.parts.options;
    await this.dropAhead();
    const failedStep = this.globalStep + 1;
    const target = lastOnGrid(this.globalStep, checkpoints);
    const stored = (await events.loadCheckpoint?.(target)) ?? this.lastGood;
    this.restore(defined(stored, 'the checkpoint to roll back to'));
    if (rollbacks.length >= mostRollbacks)
      throw new TrainingDivergedError(failedStep, learningRate * learningRateFactor, target);
    this.rollbacks = [...rollbacks, failedStep];
    this.learningRateFactor = learningRateFactor / 2;
    const rate = rateText(learningRate * this.learningRateFactor);
    events.onEvent?.(
      'rolled-back',
      target,
      `At step ${failedStep} the numbers overflowed. The run went back to step ${target} and goes on at half the learning rate, ${rate}.`,
    );
    await this.writeCheckpoint();
  }
}

function rateText(rate: number): string {
  return Number(rate.toPrecision(3)).toExponential();
}

function sum(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0);
}

/** Whether parameters are no longer numbers: an update may overflow though its gradients did not. */
function hasOverflowed(state: Checkpoint['state']): boolean {
  for (const [name, { buffer, byteOffset, byteLength }] of state) {
    if (!name.startsWith('values.')) continue;
    if (!new Float32Array(buffer, byteOffset, byteLength / 4).every(Number.isFinite)) return true;
  }
  return false;
}

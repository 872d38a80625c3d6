/** How a running training is paused, resumed, stopped and asked for things, from outside its loop. */
import type { TrainableAdapter } from '../adapter/trainable.ts';
import { LoratoryError } from '../core/errors.ts';
import type { LoraModule } from '../formats/lora/types.ts';
import type { UNet2DCondition } from '../models/unet.ts';

/** The run ended before it came to what it was asked to do between two steps. */
export class RunEndedError extends LoratoryError {
  readonly code = 'run-ended';

  constructor() {
    super('The run has ended meanwhile.', 'Try again: the GPU is free now.');
  }
}

/** What is on the GPU while a run trains. */
export interface LiveModel {
  readonly unet: UNet2DCondition;
  readonly adapter: TrainableAdapter;
  /** The adapter as it would be exported now: with averaging, the average. */
  readonly modules: () => Promise<LoraModule[]>;
}

/** Work that is done between two steps, with the model as it is then. It leaves the model as it found it. */
interface Interlude {
  run(live: LiveModel): Promise<void>;
  reject(error: Error): void;
}

export class TrainControl {
  private readonly abort = new AbortController();
  private wake: (() => void) | null = null;
  private pausing = false;
  private stop = false;
  private ended = false;
  private sampleRequested = false;
  private checkpointRequested = false;
  private readonly interludes: Interlude[] = [];

  /** Aborts at once, e.g. while preparing; what was learnt is lost unless it was checkpointed. */
  get signal(): AbortSignal {
    return this.abort.signal;
  }

  get paused(): boolean {
    return this.pausing && !this.stop;
  }

  get stopRequested(): boolean {
    return this.stop;
  }

  /** Whether anything waits for the end of the steps in progress. */
  get isWaiting(): boolean {
    return this.stop || this.pausing || this.sampleRequested || this.checkpointRequested || this.interludes.length > 0;
  }

  pause(): void {
    this.pausing = true;
  }

  resume(): void {
    this.pausing = false;
    this.wake?.();
  }

  /** Ends the run after the steps in progress, of which there are at most two, and keeps what was learnt. */
  requestStop(): void {
    this.stop = true;
    this.wake?.();
  }

  /** Ends the run now, whatever it is doing. */
  cancel(reason?: unknown): void {
    this.requestStop();
    this.abort.abort(reason);
  }

  requestSample(): void {
    this.sampleRequested = true;
  }

  /** True once per request. */
  takeSampleRequest(): boolean {
    const requested = this.sampleRequested;
    this.sampleRequested = false;
    return requested;
  }

  /** Asks for a checkpoint after the step in progress. */
  requestCheckpoint(): void {
    this.checkpointRequested = true;
  }

  /** True once per request. */
  takeCheckpointRequest(): boolean {
    const requested = this.checkpointRequested;
    this.checkpointRequested = false;
    return requested;
  }

  /**
   * Does `work` between two steps, or at once while the run is paused, with the trainer's own model; training waits for it. `signal`
   * takes it back while it waits.
   *
   * @throws {RunEndedError} if the run ends before its turn has come.
   */
  betweenSteps<T>(work: (live: LiveModel) => Promise<T>, signal?: AbortSignal): Promise<T> {
    if (this.ended) return Promise.reject(new RunEndedError());
    return new Promise<T>((resolve, reject) => {
      const interlude: Interlude = { run: (live) => work(live).then(resolve, reject), reject };
      this.interludes.push(interlude);
      signal?.addEventListener('abort', () => {
        const at = this.interludes.indexOf(interlude);
        // Once it has begun, it is for the work to heed the signal.
        if (at >= 0) this.interludes.splice(at, 1);
        if (at >= 0) reject(new DOMException('Cancelled.', 'AbortError'));
      });
      this.wake?.();
    });
  }

  /** For the loop: does the oldest work that waits, one piece a step, so that many wishes slow training down and do not halt it. */
  async runInterlude(live: LiveModel): Promise<void> {
    await this.interludes.shift()?.run(live);
  }

  /** For the loop: waits until it is to go on, doing what is asked for meanwhile. */
  async untilResumed(live: LiveModel): Promise<void> {
    while (this.paused) {
      if (this.interludes.length > 0) await this.runInterlude(live);
      else
        await new Promise<void>((resolve) => {
          this.wake = resolve;
        });
    }
    this.wake = null;
  }

  /** For the loop: it is over, whatever still waits is turned away. */
  end(): void {
    this.ended = true;
    for (const interlude of this.interludes.splice(0)) interlude.reject(new RunEndedError());
  }
}

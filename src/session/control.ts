/** How a running training is paused, resumed, stopped and asked for a sample, from outside its loop. */
export class TrainControl {
  private readonly abort = new AbortController();
  private resumed: (() => void) | null = null;
  private stop = false;
  private sampleRequested = false;

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

  private pausing = false;

  pause(): void {
    this.pausing = true;
  }

  resume(): void {
    this.pausing = false;
    this.resumed?.();
  }

  /** Ends the run after the step in progress and keeps what was learnt. */
  requestStop(): void {
    this.stop = true;
    this.resumed?.();
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

  async untilResumed(): Promise<void> {
    while (this.paused) {
      await new Promise<void>((resolve) => {
        this.resumed = resolve;
      });
    }
    this.resumed = null;
  }
}

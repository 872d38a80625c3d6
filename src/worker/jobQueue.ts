/** Jobs that take turns, in an order that may be changed while they wait. Knows nothing of what they do. */
import type { QueuedJob, QueueState } from './protocol.ts';

export type JobFacts = Omit<QueuedJob, 'state'>;

/** What a job's work is told. */
export interface JobControl {
  /** Aborted when the job is to end now. */
  readonly signal: AbortSignal;
  /** True when it is to end after its step and to give what it has. */
  readonly interrupted: () => boolean;
}

interface Job {
  readonly facts: JobFacts;
  readonly abort: AbortController;
  interrupted: boolean;
  begin(): void;
  fail(reason: unknown): void;
}

export class JobQueue {
  private running: Job | null = null;
  private waiting: Job[] = [];

  /** `onChange` hears every other state of the queue. */
  constructor(private readonly onChange: (state: QueueState) => void) {}

  list(): QueueState {
    const state = (job: Job, is: QueuedJob['state']): QueuedJob => ({ ...job.facts, state: is });
    return [
      ...(this.running ? [state(this.running, 'running')] : []),
      ...this.waiting.map((job) => state(job, 'waiting')),
    ];
  }

  /** Runs `work` when its turn has come. Rejects with the reason if `signal` or a cancel ends it before or meanwhile. */
  run<T>(facts: JobFacts, signal: AbortSignal, work: (control: JobControl) => Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const abort = new AbortController();
      const onAbort = (): void => this.end(job, signal.reason);
      const settle = (): void => {
        signal.removeEventListener('abort', onAbort);
        this.running = null;
        this.next();
      };
      const job: Job = {
        facts,
        abort,
        interrupted: false,
        begin: () => {
          // Whoever waits for a job may count on its place in the queue being free.
          work({ signal: abort.signal, interrupted: () => job.interrupted })
            .finally(settle)
            .then(resolve, reject);
        },
        fail: (reason) => {
          signal.removeEventListener('abort', onAbort);
          reject(reason instanceof Error ? reason : new Error(String(reason)));
        },
      };
      if (signal.aborted) return job.fail(signal.reason);
      signal.addEventListener('abort', onAbort, { once: true });
      this.waiting.push(job);
      if (this.running) this.onChange(this.list());
      else this.next();
    });
  }

  /** False if there is no such job. */
  cancel(jobId: string): boolean {
    const job = this.find(jobId);
    if (job) this.end(job, cancelled());
    return job !== undefined;
  }

  cancelAll(): void {
    const jobs = [...this.waiting, ...(this.running ? [this.running] : [])];
    for (const job of jobs) this.end(job, cancelled());
  }

  /** The job in progress is asked to end after its step; one that waits is cancelled. */
  interrupt(jobId: string): void {
    const job = this.find(jobId);
    if (job && job === this.running) job.interrupted = true;
    else if (job) this.end(job, cancelled());
  }

  /** Moves a waiting job to place `index` of those that wait. */
  move(jobId: string, index: number): QueueState {
    const job = this.waiting.find(({ facts }) => facts.jobId === jobId);
    if (job) {
      const others = this.waiting.filter((other) => other !== job);
      const place = Math.max(0, Math.min(Math.trunc(index), others.length));
      this.waiting = [...others.slice(0, place), job, ...others.slice(place)];
      this.onChange(this.list());
    }
    return this.list();
  }

  private find(jobId: string): Job | undefined {
    return [...(this.running ? [this.running] : []), ...this.waiting].find(({ facts }) => facts.jobId === jobId);
  }

  /** One that runs is told; it leaves the queue when it has let go of the GPU. One that waits is gone at once. */
  private end(job: Job, reason: unknown): void {
    if (job === this.running) {
      job.abort.abort(reason);
      return;
    }
    if (!this.waiting.includes(job)) return;
    this.waiting = this.waiting.filter((other) => other !== job);
    job.fail(reason);
    this.onChange(this.list());
  }

  private next(): void {
    const job = this.waiting.shift();
    this.running = job ?? null;
    this.onChange(this.list());
    job?.begin();
  }
}

function cancelled(): DOMException {
  return new DOMException('The job was cancelled.', 'AbortError');
}

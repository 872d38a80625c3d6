/**
 * Of all tabs of this origin one trains at a time, and only it may touch its run. Web Locks say which: a lock goes with its tab, however
 * the tab dies. One lock says that somebody trains; another, named after the run, says what.
 */
import { LoratoryError } from '../core/errors.ts';

/** Another tab trains. */
export class RunElsewhereError extends LoratoryError {
  readonly code = 'run-elsewhere';

  constructor() {
    super(
      'Another tab is training.',
      'Add this run to the queue, and the other tab starts it when it is done; or stop the run there.',
    );
  }
}

/** A run cannot be touched while it trains. */
export class RunBusyError extends LoratoryError {
  readonly code = 'run-busy';

  constructor(id: string) {
    super('This run is training.', 'Stop it first, in the tab that trains it. What it has learnt is kept.', { id });
  }
}

/** What is used of `navigator.locks`. */
export interface Locks {
  request<T>(
    name: string,
    options: { readonly ifAvailable: true },
    work: (lock: object | null) => Promise<T>,
  ): Promise<T>;
  query(): Promise<{ readonly held?: readonly { readonly name?: string }[] }>;
}

const trainingLock = 'loratory-training';
const runLock = (id: string): string => `loratory-run:${id}`;

export class RunLock {
  /** `locks`: undefined where there are none (old browsers): then this tab is taken to be the only one. */
  constructor(private readonly locks: Locks | undefined) {}

  /** Does `work` while no other tab trains. Throws {@link RunElsewhereError} at once if one does. */
  async whileTraining<T>(work: () => Promise<T>): Promise<T> {
    return this.ifFree(trainingLock, work, () => new RunElsewhereError());
  }

  /** Does `work` while nobody else may touch this run. Throws {@link RunBusyError} if it is being trained. */
  async whileTouching<T>(id: string, work: () => Promise<T>): Promise<T> {
    return this.ifFree(runLock(id), work, () => new RunBusyError(id));
  }

  /** The runs that are being trained or touched just now, in whichever tab. */
  async busyRuns(): Promise<Set<string>> {
    const { held = [] } = (await this.locks?.query()) ?? {};
    const prefix = runLock('');
    return new Set(held.flatMap(({ name = '' }) => (name.startsWith(prefix) ? [name.slice(prefix.length)] : [])));
  }

  /** Whether a tab trains, whichever. */
  async isTraining(): Promise<boolean> {
    const { held = [] } = (await this.locks?.query()) ?? {};
    return held.some(({ name }) => name === trainingLock);
  }

  private async ifFree<T>(name: string, work: () => Promise<T>, refusal: () => Error): Promise<T> {
    if (!this.locks) return work();
    return this.locks.request(name, { ifAvailable: true }, async (lock) => {
      if (lock === null) throw refusal();
      return work();
    });
  }
}

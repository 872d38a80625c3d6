/**
 * Runs one task at a time; a newer one aborts the running one, waits until it has let go, and replaces any that waited.
 * So a slider may ask for a hundred pictures and only the last is drawn to its end.
 */
export interface LatestWins {
  /** Aborts what runs and starts `task` once that has settled, unless a still newer one comes. */
  readonly run: (task: (signal: AbortSignal) => Promise<void>) => void;
  /** Aborts what runs and forgets what waits. */
  readonly cancel: () => void;
}

/** `task` must handle its own errors: a rejection is ignored here. */
export function createLatestWins(): LatestWins {
  let controller: AbortController | null = null;
  let waiting: ((signal: AbortSignal) => Promise<void>) | null = null;

  const start = async (task: (signal: AbortSignal) => Promise<void>): Promise<void> => {
    controller = new AbortController();
    await task(controller.signal).catch(() => undefined);
    controller = null;
    const next = waiting;
    waiting = null;
    if (next !== null) await start(next);
  };

  return {
    run(task) {
      if (controller === null) {
        void start(task);
        return;
      }
      waiting = task;
      controller.abort();
    },
    cancel() {
      waiting = null;
      controller?.abort();
    },
  };
}

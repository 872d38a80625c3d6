/** Collects values and hands them on once per animation frame, so that a fast worker never makes the page render twice a frame. */
export interface FrameBatcher<T> {
  readonly push: (value: T) => void;
  /** Hands on now what was collected. */
  readonly flush: () => void;
}

/**
 * `schedule` is injectable for tests. A hidden tab has no frames, so its values are also flushed when `limit` are waiting.
 */
export function createFrameBatcher<T>(
  deliver: (values: readonly T[]) => void,
  schedule: (callback: () => void) => void = (callback) => requestAnimationFrame(callback),
  limit = 64,
): FrameBatcher<T> {
  let values: T[] = [];
  let scheduled = false;
  const flush = (): void => {
    scheduled = false;
    if (values.length === 0) return;
    const batch = values;
    values = [];
    deliver(batch);
  };
  return {
    push(value) {
      values.push(value);
      if (values.length >= limit) flush();
      else if (!scheduled) {
        scheduled = true;
        schedule(flush);
      }
    },
    flush,
  };
}

// Plan: smoothing starts at the first value and follows; the frame batcher delivers once a frame, in order, and never
// hoards in a hidden tab; latest-wins runs one task at a time, waits for the aborted one, and skips the ones between.
import { describe, expect, it, vi } from 'vitest';
import { createFrameBatcher } from './frameBatcher.ts';
import { createLatestWins } from './latestWins.ts';
import { smoothLosses } from './smoothing.ts';

describe('smoothLosses', () => {
  it('is unbiased at the start and constant for a constant', () => {
    const constant = smoothLosses([0.5, 0.5, 0.5]);
    for (const value of constant) expect(value).toBeCloseTo(0.5, 12);
    const [first, second] = smoothLosses([1, 0], 0.5);
    expect(first).toBe(1);
    expect(second).toBeCloseTo(1 / 3, 12);
  });

  it('skips what is not finite', () => {
    const [nothing, one, still] = smoothLosses([NaN, 2, Infinity]);
    expect(nothing).toBeNaN();
    expect(one).toBeCloseTo(2, 12);
    expect(still).toBeCloseTo(2, 12);
  });
});

describe('createFrameBatcher', () => {
  it('delivers everything once a frame, in order', () => {
    const frames: (() => void)[] = [];
    const deliver = vi.fn<(values: readonly number[]) => void>();
    const batcher = createFrameBatcher<number>(deliver, (callback) => frames.push(callback));
    batcher.push(1);
    batcher.push(2);
    expect(frames).toHaveLength(1);
    expect(deliver).not.toHaveBeenCalled();
    frames[0]?.();
    expect(deliver.mock.calls).toEqual([[[1, 2]]]);
    batcher.push(3);
    batcher.flush();
    frames[1]?.();
    expect(deliver.mock.calls).toEqual([[[1, 2]], [[3]]]);
  });

  it('flushes by itself when no frame comes', () => {
    const deliver = vi.fn<(values: readonly number[]) => void>();
    const batcher = createFrameBatcher<number>(deliver, () => undefined, 2);
    batcher.push(1);
    batcher.push(2);
    expect(deliver).toHaveBeenCalledExactlyOnceWith([1, 2]);
  });
});

describe('createLatestWins', () => {
  const settled = () => new Promise((resolve) => setTimeout(resolve));

  it('aborts the running task, waits for it, and runs only the newest of those that came meanwhile', async () => {
    const log: string[] = [];
    const release = new Map<string, () => void>();
    const task = (name: string) => async (signal: AbortSignal) => {
      log.push(`start ${name}`);
      await new Promise<void>((resolve) => release.set(name, resolve));
      log.push(`end ${name}${signal.aborted ? ' aborted' : ''}`);
    };
    const latest = createLatestWins();
    latest.run(task('a'));
    latest.run(task('b'));
    latest.run(task('c'));
    await settled();
    expect(log).toEqual(['start a']);
    release.get('a')?.();
    await settled();
    expect(log).toEqual(['start a', 'end a aborted', 'start c']);
    release.get('c')?.();
    await settled();
    expect(log.at(-1)).toBe('end c');
  });

  it('goes on after a task that failed, and cancel forgets what waits', async () => {
    const latest = createLatestWins();
    latest.run(() => Promise.reject(new Error('no')));
    await settled();
    const second = vi.fn<(signal: AbortSignal) => Promise<void>>(async () => undefined);
    latest.run(second);
    await settled();
    expect(second).toHaveBeenCalledTimes(1);

    let finish: () => void = () => undefined;
    const third = vi.fn<(signal: AbortSignal) => Promise<void>>(async () => undefined);
    let seen: AbortSignal | undefined;
    latest.run((signal) => {
      seen = signal;
      return new Promise<void>((resolve) => {
        finish = resolve;
      });
    });
    latest.run(third);
    latest.cancel();
    finish();
    await settled();
    expect(seen?.aborted).toBe(true);
    expect(third).not.toHaveBeenCalled();
  });
});

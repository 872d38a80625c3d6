// Plan: one tab trains, another is refused and told so; a run that trains cannot be touched; a tab's death frees both; without locks
// everything is allowed.
import { describe, expect, it } from 'vitest';
import { fakeLocks } from './testing.ts';
import { RunLock } from './runLock.ts';

const forever = new Promise<never>(() => undefined);

describe('of all tabs', () => {
  it('one trains, and only it may touch its run', async () => {
    const locks = fakeLocks();
    const [a, b] = [new RunLock(locks), new RunLock(locks)];
    const training = a.whileTraining(() =>
      a.whileTouching('run', () => new Promise((resolve) => setTimeout(resolve, 30))),
    );
    await Promise.resolve();
    await expect(b.whileTraining(() => forever)).rejects.toMatchObject({
      code: 'run-elsewhere',
      message: 'Another tab is training.',
    });
    await expect(b.whileTouching('run', () => forever)).rejects.toMatchObject({
      code: 'run-busy',
      remedy: 'Stop it first, in the tab that trains it. What it has learnt is kept.',
    });
    expect(await b.whileTouching('another', async () => 1)).toBe(1);
    expect([await b.isTraining(), [...(await b.busyRuns())]]).toEqual([true, ['run']]);
    await training;
    expect([await b.isTraining(), [...(await b.busyRuns())]]).toEqual([false, []]);
    expect(await b.whileTraining(async () => 2)).toBe(2);
  });

  it('a failing one lets go', async () => {
    const locks = fakeLocks();
    await expect(new RunLock(locks).whileTraining(() => Promise.reject(new Error('no')))).rejects.toThrow('no');
    expect(await new RunLock(locks).isTraining()).toBe(false);
  });

  it('there is one where a browser has no locks', async () => {
    const lock = new RunLock(undefined);
    expect(await lock.whileTraining(() => lock.whileTouching('run', async () => 3))).toBe(3);
    expect([await lock.isTraining(), [...(await lock.busyRuns())]]).toEqual([false, []]);
  });
});

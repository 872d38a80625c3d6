// Plan: the grid; the newest K that were asked for, the newest two and the one to roll back to are kept, whatever comes in between.
import { expect, test } from 'vitest';
import { checkpointGrid, lastOnGrid, stepsToKeep } from './checkpointPolicy.ts';

test('the grid is what was asked for, or every 50 steps', () => {
  expect(checkpointGrid({ everySteps: 20, keep: 3 })).toBe(20);
  expect(checkpointGrid({ everySteps: 0, keep: 3 })).toBe(50);
  expect([0, 19, 20, 59].map((step) => lastOnGrid(step, { everySteps: 20, keep: 1 }))).toEqual([0, 0, 20, 40]);
});

test('the newest K of those asked for stay', () => {
  const stored = [0, 100, 200, 300, 400, 450];
  expect(stepsToKeep(stored, { everySteps: 100, keep: 3 })).toEqual([200, 300, 400, 450]);
  expect(stepsToKeep(stored, { everySteps: 100, keep: 0 })).toEqual([100, 200, 300, 400, 450]);
  expect(stepsToKeep(stored, { everySteps: 100, keep: 1 })).toEqual([400, 450]);
});

test('without a wish: the newest two, and the last of the grid', () => {
  const options = { everySteps: 0, keep: 3 };
  expect(stepsToKeep([0, 50, 61, 77], options)).toEqual([50, 61, 77]);
  expect(stepsToKeep([0, 50, 100], options)).toEqual([50, 100]);
  expect(stepsToKeep([0], options)).toEqual([0]);
});

test('as a run writes one after the other, there is always one to roll back to and one before the last', () => {
  for (const options of [
    { everySteps: 7, keep: 1 },
    { everySteps: 0, keep: 2 },
  ]) {
    let stored: number[] = [];
    for (let step = 0; step < 200; step += (step % 5) + 1) {
      const due = [lastOnGrid(step, options), step].filter((each) => each > (stored.at(-1) ?? -1));
      for (const each of due) stored = stepsToKeep([...stored, each], options);
      expect(stored).toContain(lastOnGrid(step, options));
      expect(stored.length).toBeGreaterThanOrEqual(Math.min(2, step + 1));
    }
  }
});

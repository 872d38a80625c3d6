// Plan: which calls are guided and which are whole, by hand, for each shortcut and both; the default is every call in full; what
// was kept without guidance is not reused with it, nor across a change of the prompt; the shares of work are those of the plans.
import { describe, expect, it } from 'vitest';
import { planCalls, usesShortcuts, withoutShortcuts, workDone, workShare, type Walk } from './shortcuts.ts';

/** G: guided and whole; g: guided, reusing; W and w: the same without guidance. */
function drawn(walk: Partial<Walk>): string {
  const plan = planCalls({ calls: 10, guidanceScale: 7, ...walk });
  return plan.map(({ guided, whole }) => (guided ? 'Gg' : 'Ww')[whole ? 0 : 1]).join('');
}

describe('the calls of a walk', () => {
  it.each<[string, Partial<Walk>, string]>([
    ['in full', {}, 'GGGGGGGGGG'],
    ['in full, said', { guidanceStart: 0, guidanceEnd: 1, reuseInterval: 1 }, 'GGGGGGGGGG'],
    ['without guidance', { guidanceScale: 1, guidanceStart: 0.5 }, 'WWWWWWWWWW'],
    // As A1111 counts: the call at 2/10 is not guided yet.
    ['guided from 0.2', { guidanceStart: 0.2 }, 'WWWGGGGGGG'],
    ['guided from 0.25', { guidanceStart: 0.25 }, 'WWWGGGGGGG'],
    ['guided to 0.6', { guidanceEnd: 0.6 }, 'GGGGGGWWWW'],
    ['guided between', { guidanceStart: 0.1, guidanceEnd: 0.5 }, 'WWGGGWWWWW'],
    ['guided never', { guidanceStart: 1 }, 'WWWWWWWWWW'],
    ['guided never, by its end', { guidanceEnd: 0 }, 'WWWWWWWWWW'],
    ['reusing every other', { reuseInterval: 2 }, 'GgGgGgGgGg'],
    ['reusing by three', { reuseInterval: 3 }, 'GggGggGggG'],
    ['reusing more than there is', { reuseInterval: 20 }, 'Gggggggggg'],
    ['reusing without guidance', { guidanceScale: 1, reuseInterval: 2 }, 'WwWwWwWwWw'],
    // The prompt's rows of a guided call serve calls without guidance, not the other way round; the count begins with each whole call.
    ['both, guidance ends', { guidanceEnd: 0.4, reuseInterval: 3 }, 'GggGwwWwwW'],
    ['both, guidance begins', { guidanceStart: 0.3, reuseInterval: 3 }, 'WwwWGggGgg'],
    ['both, guidance begins between two', { guidanceStart: 0.2, reuseInterval: 5 }, 'WwwGggggGg'],
    ['a prompt that changes', { reuseInterval: 4, changes: (call) => call === 2 }, 'GgGgggGggg'],
    ['a prompt that changes at each call', { reuseInterval: 4, changes: () => true }, 'GGGGGGGGGG'],
  ])('%s', (_name, walk, expected) => {
    expect(drawn(walk)).toBe(expected);
  });
});

it('the share of the work that is left', () => {
  const share = (walk: Partial<Walk>): number => workShare({ calls: 10, guidanceScale: 7, ...walk }, 0.1);
  expect(share({})).toBe(1);
  expect(share({ guidanceScale: 1, guidanceEnd: 0.5 })).toBe(1);
  expect(share({ guidanceEnd: 0.6 })).toBeCloseTo((6 * 2 + 4) / 20, 12);
  expect(share({ reuseInterval: 2 })).toBeCloseTo(0.55, 12);
  // GggGwwWwwW
  expect(share({ guidanceEnd: 0.4, reuseInterval: 3 })).toBeCloseTo((2 * 2 + 2 * 0.2 + 4 * 0.1 + 2) / 20, 12);
});

it('how far a walk is', () => {
  const done = (walk: Partial<Walk>): number[] => workDone(planCalls({ calls: 4, guidanceScale: 7, ...walk }));
  expect(done({})).toEqual([0.25, 0.5, 0.75, 1]);
  // WWGG
  expect(done({ guidanceStart: 0.25 })).toEqual([1 / 6, 2 / 6, 4 / 6, 1]);
  const [first = 0, second = 0] = done({ reuseInterval: 2 });
  expect(second).toBe(0.5);
  expect(first).toBeGreaterThan(0.45);
});

it('settings with shortcuts, and without', () => {
  const settings = { seed: 1, guidanceStart: 0, guidanceEnd: 1, reuseInterval: 1 };
  expect(usesShortcuts(settings)).toBe(false);
  expect(usesShortcuts({ guidanceStart: 0.1 })).toBe(true);
  expect(usesShortcuts({ guidanceEnd: 0.9 })).toBe(true);
  expect(usesShortcuts({ reuseInterval: 2 })).toBe(true);
  expect(withoutShortcuts(settings)).toEqual({ seed: 1 });
});

// Plan: with a fake device whose ways take the times that a test says: the fastest way is found and used; small gains, other bits, what does
// not compile, a clock that is coarse or stands still, small work; limits to what is measured at once and in all; what is remembered,
// forgotten, nonsense or refused.
import { expect, test, vi } from 'vitest';
import { Tuner, type Measurer, type Timing, type TunerMemory, type TunerOptions } from './tuner.ts';

/** Nanoseconds that a way takes once; the name of the way is the work. */
type Times = Record<string, number>;

interface Fake extends Measurer<string> {
  readonly measured: { readonly ways: readonly string[]; readonly repetitions: number }[];
}

function fake(
  times: Times,
  options: {
    readonly broken?: readonly string[];
    readonly wrong?: readonly string[];
    readonly clockStep?: number;
  } = {},
): Fake {
  const { broken = [], wrong = [], clockStep = 1 } = options;
  const measured: Fake['measured'] = [];
  return {
    rounds: 3,
    measured,
    compile: async (way) => !broken.includes(way),
    measure: async (ways, repetitions) => {
      measured.push({ ways, repetitions });
      return ways.map((way): Timing => {
        const nanoseconds = Math.floor((times[way]! * repetitions) / clockStep) * clockStep;
        return { nanoseconds, checksum: wrong.includes(way) ? 8 : 7 };
      });
    },
  };
}

const flop = 1e9;
const work = (times: Times) => () => ({ flop, ways: new Map(Object.keys(times).map((name) => [name, name])) });

/** With all the time that it wants, if not said otherwise. */
function tunerOf(measurer: Measurer<string>, options: TunerOptions = {}): Tuner<string> {
  return new Tuner(measurer, { share: 1e6, ...options });
}

/** Does the work until the tuner has nothing to do any more; returns the way that is used from then on. */
async function settle(tuner: Tuner<string>, times: Times, key = 'key'): Promise<string | null> {
  for (let i = 0; i < 10; i++) {
    await tuner.settled();
    tuner.choose(key, work(times));
  }
  await tuner.settled();
  return tuner.choose(key, work(times));
}

test('the fastest way is used once it has been measured', async () => {
  const times = { a: 3e6, b: 2e6, c: 4e6 };
  const measurer = fake(times);
  const tuner = tunerOf(measurer);
  expect(tuner.choose('key', work(times))).toBeNull();
  expect(await settle(tuner, times)).toBe('b');
  expect(measurer.measured).toHaveLength(1);
  expect(tuner.choices()).toEqual([{ key: 'key', choice: 'b', gain: 1.5 }]);
});

test('keys are decided one by one', async () => {
  const tuner = tunerOf(fake({ a: 3e6, b: 2e6 }));
  expect(await settle(tuner, { a: 3e6, b: 2e6 }, 'one')).toBe('b');
  expect(tuner.choose('two', work({ a: 1, b: 1 }))).toBeNull();
});

test.each<[string, Times, Parameters<typeof fake>[1], string | null]>([
  ['a gain of two percent', { a: 3e6, b: 2.94e6 }, {}, 'a'],
  ['a gain of four percent', { a: 3e6, b: 2.88e6 }, {}, 'b'],
  ['a faster way that writes other bits', { a: 3e6, b: 1e6, c: 2e6 }, { wrong: ['b'] }, 'c'],
  ['a faster way that does not compile', { a: 3e6, b: 1e6, c: 2e6 }, { broken: ['b'] }, 'c'],
  ['nothing else that compiles', { a: 3e6, b: 1e6 }, { broken: ['b'] }, null],
  ['a default that does not compile', { a: 3e6, b: 1e6, c: 2e6 }, { broken: ['a'] }, null],
  ['a clock that stands still', { a: 3e6, b: 1e6 }, { clockStep: 1e12 }, 'a'],
  ['a way that takes no time', { a: 3e6, b: 0 }, {}, 'a'],
])('%s', async (_, times, options, chosen) => {
  expect(await settle(tunerOf(fake(times, options)), times)).toBe(chosen);
});

test('what is over within the steps of a browser’s clock is repeated until it is not', async () => {
  const times = { a: 20e3, b: 15e3 };
  const measurer = fake(times, { clockStep: 1e5 });
  expect(await settle(tunerOf(measurer), times)).toBe('b');
  const { repetitions } = measurer.measured.at(-1)!;
  expect(repetitions * times.a).toBeGreaterThan(2e6);
  expect(repetitions * times.a).toBeLessThan(5e6);
});

test('a measurement that fails leaves the default, and is not repeated', async () => {
  const times = { a: 3e6, b: 1e6 };
  const measure = vi.fn<Measurer<string>['measure']>(async () => null);
  const tuner = tunerOf({ ...fake(times), measure });
  expect(await settle(tuner, times)).toBeNull();
  expect(measure).toHaveBeenCalledTimes(1);
  expect(tuner.choices()).toEqual([]);
});

test('a device that throws leaves the default', async () => {
  const fails = async (): Promise<never> => {
    throw new Error('lost');
  };
  const times = { a: 3e6, b: 1e6 };
  expect(await settle(tunerOf({ ...fake(times), measure: fails }), times)).toBeNull();
  expect(await settle(tunerOf({ ...fake(times), compile: fails }), times)).toBeNull();
});

test('small work is left alone', async () => {
  const times = { a: 3e6, b: 1e6 };
  const measurer = fake(times);
  const tuner = tunerOf(measurer);
  for (let i = 0; i < 5; i++) {
    await tuner.settled();
    expect(tuner.choose('key', () => ({ ...work(times)(), flop: 1e6 }))).toBeNull();
  }
  expect(measurer.measured).toEqual([]);
});

test('few measurements at a time, and in all as much of the GPU’s time as the budget has', async () => {
  const times = { a: 3e6, b: 2e6 };
  const measurer = fake(times);
  const tuner = tunerOf(measurer, { budgetMs: 100 });
  const doAll = (): void => {
    for (let i = 0; i < 20; i++) tuner.choose(`key ${i}`, work(times));
  };
  await tuner.settled();
  doAll();
  await tuner.settled();
  doAll();
  expect(measurer.measured).toHaveLength(4);
  for (let i = 0; i < 10; i++) {
    await tuner.settled();
    doAll();
  }
  // 15 ms each, looked at before each four.
  expect(measurer.measured).toHaveLength(8);
});

test('measurements take a share of the time that has passed', async () => {
  const times = { a: 3e6, b: 2e6 };
  const measurer = fake(times);
  const now = vi.spyOn(performance, 'now').mockReturnValue(1000);
  try {
    const tuner = tunerOf(measurer, { share: 0.25 });
    const doAll = async (): Promise<void> => {
      for (let i = 0; i < 3; i++) {
        await tuner.settled();
        for (const key of ['one', 'two', 'three', 'four', 'five']) tuner.choose(key, work(times));
      }
    };
    await doAll();
    // Four at once, as nothing was spent yet: 60 ms.
    expect(measurer.measured).toHaveLength(4);
    now.mockReturnValue(1239);
    await doAll();
    expect(measurer.measured).toHaveLength(4);
    now.mockReturnValue(1240);
    await doAll();
    expect(measurer.measured).toHaveLength(5);
  } finally {
    now.mockRestore();
  }
});

test('a benchmark does its work until nothing is left to find out', async () => {
  const times = { a: 20e3, b: 15e3 };
  const tuner = tunerOf(fake(times, { clockStep: 1e5 }));
  const keys = Array.from({ length: 20 }, (_, i) => `key ${i}`);
  await tuner.exhaust(async () => keys.forEach((key) => void tuner.choose(key, work(times))));
  expect(tuner.choices().map(({ key, choice }) => [key, choice])).toEqual(keys.map((key) => [key, 'b']));
});

function memoryOf(saved: [string, string, string][]): TunerMemory {
  return {
    load: async (device) => saved.filter(([of]) => of === device).map(([, key, choice]) => [key, choice] as const),
    save: async (device, choices) =>
      void saved.push(...choices.map(([key, choice]) => [device, key, choice] as [string, string, string])),
  };
}

test('choices are saved together, and used by the next without a measurement', async () => {
  const times = { a: 3e6, b: 2e6 };
  const saved: [string, string, string][] = [];
  const tuner = tunerOf(fake(times), { memory: memoryOf(saved), device: 'gpu', saveDelayMs: 1 });
  await settle(tuner, times, 'one');
  await settle(tuner, times, 'two');
  await vi.waitFor(() =>
    expect(saved).toEqual([
      ['gpu', 'one', 'b'],
      ['gpu', 'two', 'b'],
    ]),
  );
  const measurer = fake(times);
  const next = tunerOf(measurer, { memory: memoryOf(saved), device: 'gpu' });
  expect(await settle(next, times, 'one')).toBe('b');
  expect(measurer.measured).toEqual([]);
  expect(next.choices()).toEqual([{ key: 'one', choice: 'b', gain: null }]);
  const other = fake(times);
  expect(await settle(tunerOf(other, { memory: memoryOf(saved), device: 'another' }), times, 'one')).toBe('b');
  expect(other.measured).toHaveLength(1);
});

test('what is remembered but no way, or does not compile any more, harms nobody', async () => {
  const times = { a: 3e6, b: 2e6 };
  const nonsense = memoryOf([['', 'key', 'constructor']]);
  expect(await settle(tunerOf(fake(times), { memory: nonsense }), times)).toBe('b');
  const stale = memoryOf([['', 'key', 'b']]);
  expect(await settle(tunerOf(fake(times, { broken: ['b'] }), { memory: stale }), times)).toBeNull();
});

test('a memory that is refused is done without', async () => {
  const times = { a: 3e6, b: 2e6 };
  const refuse = async (): Promise<never> => {
    throw new Error('The operation is insecure.');
  };
  const tuner = tunerOf(fake(times), { memory: { load: refuse, save: refuse }, saveDelayMs: 0 });
  expect(await settle(tuner, times)).toBe('b');
  await new Promise((resolve) => setTimeout(resolve, 5));
});

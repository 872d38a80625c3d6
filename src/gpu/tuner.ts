/**
 * A small autotuner: for work that can be done in several ways which differ in nothing but speed, finds the fastest on this device. A
 * piece of work has a key; until its ways have been measured, the default is used, and the measurement happens behind the run's back.
 *
 * Nothing here can fail a run: a way that does not compile, or whose result has other bits than the default's, is never used; without
 * a clock, memory or a device the default stays.
 */

/** What outlives the device. Both may fail: then everything is measured again. */
export interface TunerMemory {
  /** What was saved for this device: pairs of key and choice. What is no choice any more is passed over. */
  load(device: string): Promise<readonly (readonly [key: string, choice: string])[]>;
  /** Adds these to what is saved. */
  save(device: string, choices: readonly (readonly [key: string, choice: string])[]): Promise<void>;
}

/** A piece of work, as it is to be done just now. */
export interface Tunable<Work> {
  /** Floating-point operations: with few, nothing is gained. */
  readonly flop: number;
  /** The ways to do it by name, the default first. */
  readonly ways: ReadonlyMap<string, Work>;
}

export interface Timing {
  /** Of all repetitions, by the GPU's clock, in the fastest round. */
  readonly nanoseconds: number;
  /** Of the result's bits. */
  readonly checksum: number;
}

/** Compiles and times on a device. */
export interface Measurer<Work> {
  /** How often {@link measure} repeats all. */
  readonly rounds: number;
  /** Resolves to whether `work` can run on this device. Never rejects. */
  compile(work: Work): Promise<boolean>;
  /** Runs each way `repetitions` times in a row, and all {@link rounds} times in turn. Resolves to null where that failed. Never rejects. */
  measure(ways: readonly Work[], repetitions: number): Promise<readonly Timing[] | null>;
}

/** What was found out about one key. */
export interface TunedChoice {
  readonly key: string;
  readonly choice: string;
  /** How many times as fast as the default; null where the choice was remembered. */
  readonly gain: number | null;
}

export interface TunerOptions {
  readonly memory?: TunerMemory;
  /** Whose choices the memory keeps apart. */
  readonly device?: string;
  /** Milliseconds of the GPU's time that measurements may take in all. */
  readonly budgetMs?: number;
  /** What part of all time measurements may take, so that one picture does not wait for what only a training gains by. */
  readonly share?: number;
  /** Milliseconds before what was found out is saved, together with what is found out meanwhile. */
  readonly saveDelayMs?: number;
}

/** What is smaller is over before a tile matters. */
const leastFlop = 5e7;
/** Measurements at a time: each delays the run by some dozens of milliseconds. */
const mostInFlight = 4;
/** A way must take so much of the default's time, or less. */
const margin = 0.97;
/** Browsers round the GPU's clock to a tenth of a millisecond: what took less than twenty of these was measured too coarsely. */
const leastNanoseconds = 2e6;
const aimedNanoseconds = 3e6;
const mostRepetitions = 256;
const mostTries = 4;

interface Entry {
  readonly choice: string | null;
  readonly gain: number | null;
  readonly state: 'compiling' | 'compiled' | 'measuring' | 'settled';
  /** Names of the ways that compiled. */
  readonly usable: readonly string[];
  readonly repetitions: number;
  readonly tries: number;
}

export class Tuner<Work> {
  readonly #measurer: Measurer<Work>;
  readonly #options: Required<Omit<TunerOptions, 'memory'>> & Pick<TunerOptions, 'memory'>;
  readonly #entries = new Map<string, Entry>();
  readonly #remembered = new Map<string, string>();
  readonly #unsaved = new Map<string, string>();
  readonly #pending = new Set<Promise<void>>();
  #loaded = false;
  #inFlight = 0;
  readonly #begun = performance.now();
  #spentMs = 0;
  #started = 0;
  #mostInFlight = mostInFlight;

  constructor(measurer: Measurer<Work>, options: TunerOptions = {}) {
    this.#measurer = measurer;
    this.#options = { device: '', budgetMs: 20_000, share: 0.25, saveDelayMs: 2000, ...options };
    this.#track(this.#load());
  }

  /**
   * The name of the way to do the work of this key now; null: the default. `tunable` is called when there is something to compile or to
   * measure, which is then done with what it returns: before this returns it is in the queue of the GPU.
   */
  choose(key: string, tunable: () => Tunable<Work>): string | null {
    const entry = this.#entries.get(key);
    if (entry && (entry.state === 'settled' || entry.state === 'measuring')) return entry.choice;
    if (this.#loaded) {
      if (!entry) this.#track(this.#compile(key, tunable()));
      else if (entry.state === 'compiled' && this.#mayMeasure()) this.#track(this.#measure(key, entry, tunable()));
    }
    return null;
  }

  /** Resolves when nothing is being compiled, measured or loaded. */
  async settled(): Promise<void> {
    while (this.#pending.size > 0) await Promise.all(this.#pending);
  }

  /** Does `work` again and again until there is nothing more to find out about it: for benchmarks, which time what comes of it. */
  async exhaust(work: () => Promise<void>): Promise<void> {
    this.#mostInFlight = Infinity;
    await this.settled();
    for (let before = -1; this.#started > before; await this.settled()) {
      before = this.#started;
      await work();
    }
    this.#mostInFlight = mostInFlight;
  }

  /** All keys that are decided. */
  choices(): readonly TunedChoice[] {
    return [...this.#entries].flatMap(([key, { state, choice, gain }]) =>
      state === 'settled' && choice !== null ? [{ key, choice, gain }] : [],
    );
  }

  #mayMeasure(): boolean {
    const { budgetMs, share } = this.#options;
    const allowedMs = Math.min(budgetMs, share * (performance.now() - this.#begun));
    return this.#inFlight < this.#mostInFlight && this.#spentMs <= allowedMs;
  }

  async #load(): Promise<void> {
    try {
      for (const [key, choice] of (await this.#options.memory?.load(this.#options.device)) ?? []) {
        this.#remembered.set(key, choice);
      }
    } catch {
      // The memory is a browser's storage, which may be refused: then everything is measured again.
    }
    this.#loaded = true;
  }

  async #compile(key: string, { flop, ways }: Tunable<Work>): Promise<void> {
    const remembered = this.#remembered.get(key);
    const known = remembered !== undefined && ways.has(remembered);
    const [first] = ways.keys();
    const names = known ? [remembered] : [...ways.keys()];
    const entry: Entry = { choice: null, gain: null, state: 'compiling', usable: [], repetitions: 1, tries: 0 };
    const settle = (choice: string | null): void => void this.#entries.set(key, { ...entry, state: 'settled', choice });
    if (!known && (flop < leastFlop || names.length < 2)) {
      settle(null);
      return;
    }
    this.#entries.set(key, entry);
    const compiled = await Promise.all(names.map((name) => this.#measurer.compile(ways.get(name)!)));
    const usable = names.filter((_, i) => compiled[i]);
    if (known) {
      settle(usable[0] ?? null);
    } else if (usable.length < 2 || usable[0] !== first) {
      settle(null);
    } else {
      this.#entries.set(key, { ...entry, state: 'compiled', usable });
    }
  }

  async #measure(key: string, entry: Entry, { ways }: Tunable<Work>): Promise<void> {
    const { usable, repetitions, tries } = entry;
    this.#entries.set(key, { ...entry, state: 'measuring' });
    this.#inFlight++;
    const works = usable.map((name) => ways.get(name)!);
    const timings = await this.#measurer.measure(works, repetitions).catch(() => null);
    this.#inFlight--;
    const own = timings?.[0];
    if (!timings || !own) {
      this.#entries.set(key, { ...entry, state: 'settled' });
      return;
    }
    const oneRound = timings.reduce((sum, { nanoseconds }) => sum + nanoseconds, 0);
    this.#spentMs += (oneRound * this.#measurer.rounds) / 1e6;
    if (own.nanoseconds < leastNanoseconds && repetitions < mostRepetitions && tries + 1 < mostTries) {
      const factor = Math.min(16, aimedNanoseconds / Math.max(1, own.nanoseconds));
      const more = Math.min(mostRepetitions, Math.ceil(repetitions * factor));
      this.#entries.set(key, { ...entry, state: 'compiled', repetitions: more, tries: tries + 1 });
      return;
    }
    let best = 0;
    timings.forEach(({ nanoseconds, checksum }, i) => {
      const limit = best === 0 ? own.nanoseconds * margin : timings[best]!.nanoseconds;
      if (nanoseconds > 0 && nanoseconds < limit && checksum === own.checksum) best = i;
    });
    const choice = usable[best]!;
    const gain = own.nanoseconds / timings[best]!.nanoseconds || 1;
    this.#entries.set(key, { ...entry, state: 'settled', choice, gain });
    // A clock that stands still says nothing worth keeping.
    if (own.nanoseconds > 0) this.#remember(key, choice);
  }

  #remember(key: string, choice: string): void {
    const { memory, device, saveDelayMs } = this.#options;
    if (!memory) return;
    this.#unsaved.set(key, choice);
    if (this.#unsaved.size > 1) return;
    setTimeout(() => {
      const choices = [...this.#unsaved];
      this.#unsaved.clear();
      memory.save(device, choices).catch(() => undefined);
    }, saveDelayMs);
  }

  #track(work: Promise<void>): void {
    this.#started++;
    const tracked = work.catch(() => undefined).finally(() => this.#pending.delete(tracked));
    this.#pending.add(tracked);
  }
}

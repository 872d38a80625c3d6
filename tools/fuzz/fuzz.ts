/** Feeds mutated files to the readers. Each must be read or refused with an error of ours, at once, and without taking memory for it. */
import { InvariantError, LoratoryError } from '../../src/core/errors.ts';
import { drawFrom } from './draw.ts';
import { mutate } from './mutate.ts';
import { fuzzTargets } from './seeds.ts';

export interface FuzzFailure {
  readonly target: string;
  /** What to call {@link fuzzOne} with to see it again. */
  readonly number: number;
  readonly what: string;
}

export interface FuzzReport {
  readonly files: number;
  readonly read: number;
  readonly refused: number;
  readonly failures: readonly FuzzFailure[];
}

const slowestMs = 1000;
/** Buffers that a file may cost: a few conversions of its content, and a floor for what else the process does meanwhile. */
const bytesFor = (size: number): number => 32 * size + 8 * 2 ** 20;

/** Reads the mutated file of this number: 'read', 'refused', or what went wrong. */
export async function fuzzOne(number: number): Promise<{ readonly target: string; readonly outcome: string }> {
  const draw = drawFrom(number);
  const { name: target, seeds, read } = fuzzTargets[number % fuzzTargets.length]!;
  const bytes = new Uint8Array(mutate(seeds[draw(seeds.length)]!, draw));
  const before = process.memoryUsage().arrayBuffers;
  const started = performance.now();
  let outcome = 'read';
  try {
    await read(bytes);
  } catch (error) {
    const typed = error instanceof LoratoryError && !(error instanceof InvariantError) && error.remedy !== '';
    outcome = typed ? 'refused' : `threw ${String(error)}`;
  }
  const [ms, grown] = [performance.now() - started, process.memoryUsage().arrayBuffers - before];
  if (ms > slowestMs) outcome = `took ${ms.toFixed(0)} ms`;
  if (grown > bytesFor(bytes.length)) outcome = `took ${grown} bytes for a file of ${bytes.length}`;
  return { target, outcome };
}

/** Reads `count` mutated files, from number `first` on. */
export async function fuzz(count: number, first = 0): Promise<FuzzReport> {
  const counts = { read: 0, refused: 0 };
  const failures: FuzzFailure[] = [];
  for (let number = first; number < first + count; number++) {
    const { target, outcome } = await fuzzOne(number);
    if (outcome === 'read' || outcome === 'refused') counts[outcome]++;
    else failures.push({ target, number, what: outcome });
  }
  return { files: count, ...counts, failures };
}

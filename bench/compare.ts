/**
 * Times two ways of computing one thing against each other in one run: A, B, A, B, ... so that whatever else the machine
 * does meets both. Wall time from an idle GPU to an idle GPU around several repetitions; the median of the rounds.
 */
import { finishGpuWork, readTensor, tidy, type Tensor } from '../src/gpu/ops.ts';
import { median } from './gpuTime.ts';

/** A round repeats what is quick for about so long. */
const msPerRound = 60;
const manyRounds = 5;
/** For what is slow, so that a software GPU is done in minutes. */
const fewRounds = 3;

/** One thing to compute, by our kernels and by tfjs' own. Inputs are made by the caller and freed by `dispose`. */
export interface KernelCase {
  readonly name: string;
  /** Shapes in words. */
  readonly shape: string;
  /** Multiply-adds times two, where they are what takes the time. */
  readonly flop?: number;
  /** Bytes that have to be read and written at the least: every input and output once. */
  readonly bytes: number;
  ours(): Tensor[];
  tfjs(): Tensor[];
  /** Largest allowed difference of the two, as a share of tfjs' largest value. */
  readonly tolerance?: number;
  dispose(): void;
}

export interface Comparison {
  readonly name: string;
  readonly shape: string;
  readonly oursMs: number;
  readonly tfjsMs: number;
  /** tfjs' time over ours: above 1 we are faster. */
  readonly ratio: number;
  /** Billions of floating-point operations a second, ours; null where memory is what counts. */
  readonly gflops: number | null;
  /** Largest difference of the results as a share of the largest value. */
  readonly difference: number;
}

/** The two computed different things, so their times say nothing. */
export class DisagreementError extends Error {
  constructor({ name, shape }: KernelCase, difference: number, tolerance: number) {
    super(
      `${name} ${shape}: ours and tfjs' differ by ${difference.toExponential(2)} of the largest value (allowed: ${tolerance})`,
    );
  }
}

/** @throws {DisagreementError} */
export async function compare(test: KernelCase): Promise<Comparison> {
  const difference = await differ(test);
  const oursOnce = await time(() => test.ours(), 1);
  const tfjsOnce = await time(() => test.tfjs(), 1);
  const repetitions = (onceMs: number): number => Math.max(1, Math.min(100, Math.round(msPerRound / onceMs)));
  const ours: number[] = [];
  const tfjs: number[] = [];
  const rounds = oursOnce + tfjsOnce > 2 * msPerRound ? fewRounds : manyRounds;
  for (let round = 0; round < rounds; round++) {
    ours.push(await time(() => test.ours(), repetitions(oursOnce)));
    tfjs.push(await time(() => test.tfjs(), repetitions(tfjsOnce)));
  }
  const oursMs = median(ours);
  const tfjsMs = median(tfjs);
  return {
    name: test.name,
    shape: test.shape,
    oursMs,
    tfjsMs,
    ratio: tfjsMs / oursMs,
    gflops: test.flop === undefined ? null : test.flop / oursMs / 1e6,
    difference,
  };
}

/** Milliseconds of one repetition. */
async function time(f: () => Tensor[], repetitions: number): Promise<number> {
  await finishGpuWork();
  const started = performance.now();
  for (let i = 0; i < repetitions; i++) {
    tidy(() => {
      f();
    });
  }
  await finishGpuWork();
  return (performance.now() - started) / repetitions;
}

/** Compares the results; this is also the warm-up that compiles both. */
async function differ(test: KernelCase): Promise<number> {
  const { tolerance = 1e-3 } = test;
  const ours = tidy(() => test.ours());
  const tfjs = tidy(() => test.tfjs());
  let worst = 0;
  for (const [i, expected] of tfjs.entries()) {
    const a = await readTensor(ours[i]!);
    const b = await readTensor(expected);
    let largest = 0;
    let apart = a.length === b.length ? 0 : Infinity;
    b.forEach((value, j) => {
      largest = Math.max(largest, Math.abs(value));
      apart = Math.max(apart, Math.abs(a[j]! - value));
    });
    worst = Math.max(worst, apart / largest);
  }
  for (const t of [...ours, ...tfjs]) t.dispose();
  if (!(worst <= tolerance)) throw new DisagreementError(test, worst, tolerance);
  return worst;
}

/**
 * A network as a list of segments over named values, so that one description serves inference and training.
 *
 * Inference runs the list and frees each value after its last use. Training runs it once, keeping only the values between
 * segments, then walks it backwards: each segment is recomputed under a tape, differentiated and freed before the one before
 * it is touched (Chen et al. 2016, "Training deep nets with sublinear memory cost"). Segments for whose tape there is memory
 * (segmentPlan.ts) keep it from the first run and are not recomputed; the gradients are the same to the last bit.
 */
import { defined, invariant } from '../core/invariant.ts';
import { vjp, type Vjp } from '../gpu/gradients.ts';
import { add, bytesInUse, tidy, type Tensor } from '../gpu/ops.ts';
import { runtime } from '../gpu/runtime.ts';
import type { SegmentCosts } from './segmentPlan.ts';

export interface Segment {
  readonly name: string;
  /** Names of the values it takes, in the order of `run`'s inputs. */
  readonly reads: readonly string[];
  /** Names of the values it gives, each written by one segment only. */
  readonly writes: readonly string[];
  /** The trainable tensors inside it, at the time of the call. */
  parameters(): readonly Tensor[];
  run(inputs: readonly Tensor[]): Tensor[];
}

/** Named inputs of a network. They stay the caller's. */
export type Values = ReadonlyMap<string, Tensor>;

/** Runs all segments without a tape and returns the value called `result`, the caller's to dispose. */
export function runSegments(segments: readonly Segment[], inputs: Values, result: string): Tensor {
  return defined(runSegmentsFor(segments, inputs, [result])[0]);
}

/** As {@link runSegments}, for several values at once: in the order of their names, each the caller's to dispose. */
export function runSegmentsFor(segments: readonly Segment[], inputs: Values, results: readonly string[]): Tensor[] {
  const lastUse = new Map<string, number>();
  segments.forEach((segment, i) => {
    for (const name of segment.reads) lastUse.set(name, i);
  });
  const values = new Map<string, Tensor>();
  segments.forEach((segment, i) => {
    const outputs = runOne(segment, inputs, values);
    segment.writes.forEach((name, j) => values.set(name, outputs[j]!));
    for (const name of segment.reads) {
      if (lastUse.get(name) === i && !results.includes(name)) {
        values.get(name)?.dispose();
        values.delete(name);
      }
    }
  });
  const found = results.map((name) => defined(values.get(name), `value ${name}`));
  for (const [name, other] of values) if (!results.includes(name)) other.dispose();
  return found;
}

/** The segments without which `result` cannot be had where the values `given` are known already. */
export function segmentsTowards(segments: readonly Segment[], given: readonly string[], result: string): Segment[] {
  const wanted = new Set([result]);
  const needed = segments.toReversed().filter(({ reads, writes }) => {
    if (!writes.some((name) => wanted.has(name) && !given.includes(name))) return false;
    for (const name of reads) wanted.add(name);
    return true;
  });
  return needed.reverse();
}

export interface SegmentGradients {
  /** For each tensor of `parameters`, in order; null where it does not reach the result. */
  readonly parameters: (Tensor | null)[];
  /** Gradients of the values named in `gradientsOf`. */
  readonly values: Map<string, Tensor>;
  /** Everything that the last segment wrote, by name. */
  readonly outputs: Map<string, Tensor>;
}

/**
 * Gradients of a scalar with segment checkpointing. The last segment must write `loss`, a tensor of shape [].
 * All returned tensors are the caller's to dispose.
 */
export function checkpointedGradients(
  segments: readonly Segment[],
  inputs: Values,
  parameters: readonly Tensor[],
  {
    loss,
    one,
    gradientsOf = [],
    kept = new Set(),
    costs,
  }: {
    readonly loss: string;
    readonly one: Tensor;
    readonly gradientsOf?: readonly string[];
    /** Names of segments whose tape is kept from the first run, instead of running them again. */
    readonly kept?: ReadonlySet<string>;
    /** Is told what each segment that runs again costs. */
    readonly costs?: SegmentCosts;
  },
): SegmentGradients {
  const last = defined(segments.at(-1), 'last segment');
  invariant(last.writes.includes(loss), `The last segment must write ${loss}`);
  const values = new Map<string, Tensor>();
  const needed = valuesThatNeedGradients(segments, gradientsOf);
  const differentiatedOf = ({ reads }: Segment): string[] => reads.filter((name) => needed.has(name));
  const record = (segment: Segment): Vjp => {
    const reads = readsOf(segment, inputs, values);
    const xs = differentiatedOf(segment).map((name) => reads[segment.reads.indexOf(name)]!);
    return vjp(() => segment.run(reads), [...xs, ...segment.parameters()]);
  };
  const tapes = new Map<string, Vjp>();
  for (const segment of segments.slice(0, -1)) {
    const tape = kept.has(segment.name) ? record(segment) : null;
    if (tape) tapes.set(segment.name, tape);
    const outputs = tape?.outputs ?? runOne(segment, inputs, values);
    segment.writes.forEach((name, j) => values.set(name, outputs[j]!));
  }

  const valueGradients = new Map<string, Tensor>();
  const parameterGradients = new Map<number, Tensor>();
  const finalOutputs = new Map<string, Tensor>();
  for (let i = segments.length - 1; i >= 0; i--) {
    const segment = segments[i]!;
    // Its outputs were kept for later segments only, and those are done.
    for (const name of segment.writes) {
      values.get(name)?.dispose();
      values.delete(name);
    }
    const own = segment.parameters();
    const isLast = segment === last;
    const differentiated = differentiatedOf(segment);
    const keptTape = tapes.get(segment.name);
    if (
      !isLast &&
      (own.length + differentiated.length === 0 || !segment.writes.some((name) => valueGradients.has(name)))
    ) {
      keptTape?.discard();
      continue;
    }
    const before = { bytes: bytesInUse(), flop: runtime().counters.flop };
    const tape = keptTape ?? record(segment);
    if (!keptTape && !isLast) {
      // The outputs are kept in any case.
      const bytes = bytesInUse() - before.bytes - tape.outputs.reduce((sum, { size }) => sum + size * 4, 0);
      costs?.set(segment.name, { bytes: Math.max(0, bytes), flop: runtime().counters.flop - before.flop });
    }
    const dys = segment.writes.map((name) => (isLast && name === loss ? one : (valueGradients.get(name) ?? null)));
    const gradients = tape.backward(dys);
    segment.writes.forEach((name, j) => {
      if (isLast) finalOutputs.set(name, tape.outputs[j]!);
      else if (!keptTape) tape.outputs[j]!.dispose();
      if (gradientsOf.includes(name)) return;
      valueGradients.get(name)?.dispose();
      valueGradients.delete(name);
    });
    differentiated.forEach((name, j) => collect(valueGradients, name, gradients[j]!));
    own.forEach((parameter, j) => collect(parameterGradients, parameter.id, gradients[differentiated.length + j]!));
  }
  for (const value of values.values()) value.dispose();
  return {
    parameters: parameters.map((parameter) => parameterGradients.get(parameter.id) ?? null),
    values: valueGradients,
    outputs: finalOutputs,
  };
}

function runOne(segment: Segment, inputs: Values, values: Values): Tensor[] {
  const reads = readsOf(segment, inputs, values);
  return tidy(() => segment.run(reads));
}

function readsOf({ reads }: Segment, inputs: Values, values: Values): Tensor[] {
  return reads.map((name) => defined(values.get(name) ?? inputs.get(name), `value ${name}`));
}

/** A value needs a gradient if it is asked for or if something trainable lies upstream of it. */
function valuesThatNeedGradients(segments: readonly Segment[], asked: readonly string[]): Set<string> {
  const needed = new Set(asked);
  for (const segment of segments) {
    if (segment.parameters().length > 0 || segment.reads.some((name) => needed.has(name))) {
      for (const name of segment.writes) needed.add(name);
    }
  }
  return needed;
}

function collect<K>(gradients: Map<K, Tensor>, key: K, gradient: Tensor | null): void {
  if (!gradient) return;
  const before = gradients.get(key);
  if (!before) {
    gradients.set(key, gradient);
    return;
  }
  gradients.set(key, add(before, gradient));
  before.dispose();
  gradient.dispose();
}

/**
 * Which segments of a network keep their tape from the first run, and which are run again on the way back: those first that save the most
 * arithmetic for a byte, as far as the memory goes.
 */

export interface SegmentCost {
  /** Of what the tape keeps beyond the segment's inputs and outputs. */
  readonly bytes: number;
  /** Floating-point operations of running it again. */
  readonly flop: number;
}

/** By the segments' names, as a step has shown them. */
export type SegmentCosts = Map<string, SegmentCost>;

/** Names of the segments to keep within `bytes`. */
export function planKept(costs: ReadonlyMap<string, SegmentCost>, bytes: number): Set<string> {
  const kept = new Set<string>();
  let left = bytes;
  const worth = ({ flop, bytes: own }: SegmentCost): number => flop / Math.max(1, own);
  for (const [name, cost] of [...costs].sort(([, a], [, b]) => worth(b) - worth(a))) {
    if (cost.bytes > left) continue;
    kept.add(name);
    left -= cost.bytes;
  }
  return kept;
}

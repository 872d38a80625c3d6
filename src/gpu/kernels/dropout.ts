/**
 * Dropout of a LoRA's narrow activations t = A x, as kohya's networks/lora.py has it: `network` drops elements, `rank` whole ranks of an
 * example, `module` the whole branch of a layer. What is left is scaled up for the first two, not for the third.
 *
 * Nothing is kept of the draws: they are hashes of the step's key, the layer's salt and the place (dropout.wgsl), which the backward pass
 * and the recomputation of a segment repeat.
 */
import type { FloatUniform, Tensor } from '../runtime.ts';

export interface DropoutChances {
  readonly network: number;
  readonly rank: number;
  readonly module: number;
}

/** What a branch drops while it is trained. */
export interface LoraDropout {
  readonly chances: DropoutChances;
  /** int32 [1]: the key of the step, shared by all layers. */
  readonly key: Tensor;
  /** The layer's own 32 bits. */
  readonly salt: number;
}

/** How a kernel draws. */
export interface DropoutDraw extends DropoutChances {
  readonly salt: number;
  /** Rows of t that belong to one example. */
  readonly sampleRows: number;
  /** Columns of t that belong to one module. */
  readonly moduleRanks: number;
}

function threshold(chance: number): number {
  return Math.min(2 ** 32 - 1, Math.floor(chance * 2 ** 32));
}

function scaleOf({ network, rank }: DropoutChances): number {
  return 1 / ((1 - network) * (1 - rank));
}

/** The members of a kernel's params that dropout.wgsl reads, in order; zeros without dropout. */
export function dropoutUniforms(draw: DropoutDraw | null): (number | FloatUniform)[] {
  if (!draw) return [0, 0, 0, 0, 0, 0, { f32: 0 }];
  const { salt, sampleRows, moduleRanks, network, rank, module } = draw;
  return [
    salt,
    sampleRows,
    moduleRanks,
    threshold(network),
    threshold(rank),
    threshold(module),
    { f32: scaleOf(draw) },
  ];
}

function mixBits(bits: number): number {
  let h = bits;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/** The CPU reference of dropout.wgsl: the factor of each element of t [rows, ranks]. */
export function dropoutFactors(draw: DropoutDraw, key: number, rows: number, ranks: number): Float32Array {
  const { salt, sampleRows, moduleRanks, network, rank, module } = draw;
  const isDropped = (kind: number, index: number, chance: number): boolean => {
    const state = mixBits(key ^ mixBits((salt + kind) | 0));
    return mixBits((mixBits(state ^ index) + state) | 0) < threshold(chance);
  };
  const scale = scaleOf(draw);
  return new Float32Array(rows * ranks).map((_, i) => {
    const [row, column] = [Math.floor(i / ranks), i % ranks];
    const dropped =
      isDropped(0, i, network) ||
      isDropped(1, Math.floor(row / sampleRows) * ranks + column, rank) ||
      isDropped(2, Math.floor(column / moduleRanks), module);
    return dropped ? 0 : scale;
  });
}

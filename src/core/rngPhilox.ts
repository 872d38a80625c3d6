/**
 * Normals as torch draws them on a CUDA device, the noise of A1111's "GPU" random number source: number i of draw d is made from the
 * counter (d, 0, i, 0) and the seed alone. Source: Philox4x32-10 of Salmon et al. 2011 (Random123), and the Box-Muller transform of
 * cuRAND as A1111 computes it on the CPU, in float64 with float32 constants.
 */
import { invariant } from './invariant.ts';

const ROUNDS = 10;
const MULTIPLIERS = [0xd2511f53, 0xcd9e8d57] as const;
/** The golden ratio and sqrt(3) - 1, which the key grows by each round. */
const WEYL = [0x9e3779b9, 0xbb67ae85] as const;
const UNIFORM = Math.fround(2.3283064e-10);
const ANGLE = Math.fround(Math.fround(2.3283064e-10) * Math.fround(6.2831855));

type Words4 = readonly [number, number, number, number];

/** The high and low 32 bits of a product of two 32-bit words. */
function multiply(a: number, b: number): readonly [high: number, low: number] {
  const [aHigh, aLow] = [a >>> 16, a & 0xffff];
  const [bHigh, bLow] = [b >>> 16, b & 0xffff];
  const low = aLow * bLow;
  const middle = aHigh * bLow + (low >>> 16) + ((aLow * bHigh) & 0xffff);
  const high = aHigh * bHigh + Math.floor(middle / 2 ** 16) + ((aLow * bHigh) >>> 16);
  return [high >>> 0, Math.imul(a, b) >>> 0];
}

/** 128 random bits for a counter and a key: Philox4x32 with ten rounds. */
export function philox4x32(counter: Words4, key: readonly [number, number]): Words4 {
  let [c0, c1, c2, c3] = counter;
  let [k0, k1] = key;
  for (let round = 0; round < ROUNDS; round++) {
    const [high0, low0] = multiply(MULTIPLIERS[0], c0);
    const [high1, low1] = multiply(MULTIPLIERS[1], c2);
    [c0, c1, c2, c3] = [(high1 ^ c1 ^ k0) >>> 0, low1, (high0 ^ c3 ^ k1) >>> 0, low0];
    k0 = (k0 + WEYL[0]) >>> 0;
    k1 = (k1 + WEYL[1]) >>> 0;
  }
  return [c0, c1, c2, c3];
}

export class PhiloxGenerator {
  private draws = 0;
  private readonly key: readonly [number, number];

  /** `seed` is a whole number; its low 64 bits are the key. */
  constructor(seed: number) {
    invariant(Number.isSafeInteger(seed), 'A seed is an integer', { seed });
    this.key = [seed >>> 0, Math.floor(seed / 2 ** 32) >>> 0];
  }

  /** Standard normals, as many as `shape` has elements, row-major: `torch.randn(shape, device='cuda')`. */
  randn(shape: readonly number[]): Float32Array<ArrayBuffer> {
    const out = new Float32Array(shape.reduce((product, size) => product * size, 1));
    for (let i = 0; i < out.length; i++) {
      const [x, y] = philox4x32([this.draws, 0, i, 0], this.key);
      const radius = Math.sqrt(-2 * Math.log(x * UNIFORM + UNIFORM / 2));
      out[i] = radius * Math.sin(y * ANGLE + ANGLE / 2);
    }
    this.draws++;
    return out;
  }
}

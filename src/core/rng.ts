/**
 * Random numbers that equal torch's on a CPU generator, so that a seed means here what it means in diffusers.
 *
 * The engine is mt19937, seeded with the low 32 bits of the seed. Source: pytorch aten/src/ATen/core/MT19937RNGEngine.h,
 * DistributionsHelper.h (small normals), native/cpu/DistributionTemplates.h (normal_fill, randperm). Builds of torch differ in the
 * last bits of log, sin and cos: normals agree to about 1e-6, everything else exactly.
 */
import { invariant } from './invariant.ts';

const N = 624;
const M = 397;
/** At least so many normals are drawn in blocks, from 24-bit uniforms; fewer one at a time, from 53-bit ones. */
const BLOCK_THRESHOLD = 16;

export class TorchGenerator {
  private readonly state = new Uint32Array(N);
  private next = N;
  /** The sine that belongs to the last small normal drawn; it serves the next small draw, however far off. */
  private spareNormal: number | undefined;

  /** `seed` is any safe integer; torch uses its low 32 bits. */
  constructor(seed: number) {
    invariant(Number.isSafeInteger(seed), 'A seed is an integer', { seed });
    const { state } = this;
    state[0] = seed;
    for (let i = 1; i < N; i++) {
      const previous = state[i - 1]!;
      state[i] = Math.imul(1812433253, previous ^ (previous >>> 30)) + i;
    }
  }

  /** The next 32 random bits. */
  random(): number {
    if (this.next === N) this.refill();
    let y = this.state[this.next++]!;
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    return (y ^ (y >>> 18)) >>> 0;
  }

  private refill(): void {
    const { state } = this;
    for (let i = 0; i < N; i++) {
      const y = (state[i]! & 0x80000000) | (state[(i + 1) % N]! & 0x7fffffff);
      state[i] = state[(i + M) % N]! ^ (y >>> 1) ^ (y & 1 ? 0x9908b0df : 0);
    }
    this.next = 0;
  }

  /** `torch.rand`: `n` uniforms in [0, 1), multiples of 2^-24. */
  rand(n: number): Float32Array<ArrayBuffer> {
    const out = new Float32Array(n);
    for (let i = 0; i < n; i++) out[i] = (this.random() & 0xffffff) * 2 ** -24;
    return out;
  }

  /** `torch.randint(high, (n,))`: `n` integers in [0, high), high at most 2^32. */
  randint(n: number, high: number): Int32Array<ArrayBuffer> {
    invariant(Number.isInteger(high) && high > 0 && high <= 2 ** 31, 'randint has a bound from 1 to 2^31', { high });
    return Int32Array.from({ length: n }, () => this.random() % high);
  }

  /** `torch.randperm(n)`: 0 to n - 1 in random order. */
  randperm(n: number): Int32Array<ArrayBuffer> {
    const out = Int32Array.from({ length: n }, (_, i) => i);
    for (let i = 0; i < n - 1; i++) {
      const j = i + (this.random() % (n - i));
      const swapped = out[i]!;
      out[i] = out[j]!;
      out[j] = swapped;
    }
    return out;
  }

  /** `torch.randn`: standard normals, as many as `shape` (a count, or sizes to be multiplied) has elements, row-major. */
  randn(shape: number | readonly number[]): Float32Array<ArrayBuffer> {
    const n = typeof shape === 'number' ? shape : shape.reduce((product, size) => product * size, 1);
    if (n < BLOCK_THRESHOLD) return Float32Array.from({ length: n }, () => this.smallNormal());
    const out = this.rand(n);
    for (let start = 0; start + 16 <= n; start += 16) boxMuller(out, start);
    if (n % 16 !== 0) {
      // The rest is not a whole block, so the last 16 values are drawn anew.
      out.set(this.rand(16), n - 16);
      boxMuller(out, n - 16);
    }
    return out;
  }

  private uniform53(): number {
    const high = this.random() & 0x1fffff;
    return (high * 2 ** 32 + this.random()) * 2 ** -53;
  }

  private smallNormal(): number {
    if (this.spareNormal !== undefined) {
      const spare = this.spareNormal;
      this.spareNormal = undefined;
      return spare;
    }
    const angle = 2 * Math.PI * this.uniform53();
    const radius = Math.sqrt(-2 * Math.log1p(-this.uniform53()));
    this.spareNormal = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  }
}

/** Turns 16 uniforms into 16 normals in place: the first 8 give radii, the last 8 angles; cosines first, then sines. */
function boxMuller(values: Float32Array, start: number): void {
  const { fround } = Math;
  for (let j = start; j < start + 8; j++) {
    const u1 = fround(1 - values[j]!); // In (0, 1], so that its logarithm is finite.
    const radius = fround(Math.sqrt(fround(-2 * fround(Math.log(u1)))));
    const angle = fround(fround(2 * Math.PI) * values[j + 8]!);
    values[j] = radius * fround(Math.cos(angle));
    values[j + 8] = radius * fround(Math.sin(angle));
  }
}

/** One round of murmur3 (Appleby, public domain). */
function mix(hash: number, word: number): number {
  let k = Math.imul(word, 0xcc9e2d51);
  k = Math.imul((k << 15) | (k >>> 17), 0x1b873593);
  const h = hash ^ k;
  return (Math.imul((h << 13) | (h >>> 19), 5) + 0xe6546b64) | 0;
}

/**
 * A 32-bit seed for one purpose, e.g. `deriveSeed(seed, 'noise', step)`: the same arguments always give the same seed, any other
 * arguments an unrelated one. Draws of a training step so depend on (seed, purpose, step) and not on what was drawn before, which
 * lets an interrupted run resume exactly.
 */
export function deriveSeed(seed: number, ...labels: readonly (number | string)[]): number {
  let hash = 0;
  let words = 0;
  const add = (word: number): void => {
    hash = mix(hash, word);
    words++;
  };
  for (const label of [seed, ...labels]) {
    if (typeof label === 'number') {
      invariant(Number.isSafeInteger(label), 'A number that a seed derives from is an integer', { label });
      add(1);
      add(label | 0);
      add(Math.floor(label / 2 ** 32));
    } else {
      // The length keeps ('ab', 'c') apart from ('a', 'bc').
      add(2);
      add(label.length);
      for (let i = 0; i < label.length; i++) add(label.charCodeAt(i));
    }
  }
  hash ^= words;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

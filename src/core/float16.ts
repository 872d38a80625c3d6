/**
 * Half precision and bfloat16 to and from float32, over whole arrays.
 *
 * Halves are 1 sign, 5 exponent (bias 15) and 10 mantissa bits; bfloat16 is the upper half of a float32. These loops run over
 * gigabytes of weights, so widening is one look-up a value and narrowing is integer arithmetic on the float's bits.
 */

const F32_INFINITY = 0x7f800000;
/** 2^16: from here on a float32 is beyond every half. (65520..65535 round up to infinity by themselves.) */
const F32_TWO_TO_16 = 0x47800000;
/** 2^-14: from here on a half is normal. */
const F32_TWO_TO_MINUS_14 = 0x38800000;
/** (127 - 15) << 23: the difference of the two exponents' biases. */
const BIAS_DIFFERENCE = 0x38000000;

let halfTable: Uint32Array | undefined;

/** The float32 bits of each of the 65,536 halves. */
function makeHalfTable(): Uint32Array {
  const table = new Uint32Array(65536);
  const value = new Float32Array(1);
  const bits = new Uint32Array(value.buffer);
  for (let half = 0; half < 32768; half++) {
    const exponent = half >>> 10;
    const mantissa = half & 0x3ff;
    if (exponent === 0) {
      value[0] = mantissa * 2 ** -24;
    } else {
      bits[0] = exponent === 31 ? F32_INFINITY | (mantissa << 13) : BIAS_DIFFERENCE + (half << 13);
    }
    table[half] = bits[0]!;
    table[half + 32768] = bits[0]! | 0x80000000;
  }
  return table;
}

/** Widens halves (as their bits) to float32. Exact for every value; a NaN keeps its sign and payload. */
export function float16ToFloat32(src: Uint16Array): Float32Array<ArrayBuffer> {
  const table = (halfTable ??= makeHalfTable());
  const out = new Uint32Array(src.length);
  for (let i = 0; i < src.length; i++) out[i] = table[src[i]!]!;
  return new Float32Array(out.buffer);
}

/** Widens bfloat16 (as its bits) to float32. Exact. */
export function bfloat16ToFloat32(src: Uint16Array): Float32Array<ArrayBuffer> {
  const out = new Uint32Array(src.length);
  for (let i = 0; i < src.length; i++) out[i] = src[i]! << 16;
  return new Float32Array(out.buffer);
}

/** The half of a float32 below 2^-14 (both as bits, without the sign): a multiple of 2^-24, to nearest even. */
function subnormalHalf(magnitude: number): number {
  const shift = 126 - (magnitude >>> 23);
  if (shift > 24) return 0;
  const mantissa = (magnitude & 0x7fffff) | 0x800000;
  const half = mantissa >>> shift;
  const rest = mantissa & ((1 << shift) - 1);
  const middle = 1 << (shift - 1);
  return rest > middle || (rest === middle && (half & 1) === 1) ? half + 1 : half;
}

/** Narrows float32 to halves (their bits), rounding to nearest even. From 65520 on infinity; a NaN stays a (quiet) NaN. */
export function float32ToFloat16(src: Float32Array): Uint16Array<ArrayBuffer> {
  const bits = new Uint32Array(src.buffer, src.byteOffset, src.length);
  const out = new Uint16Array(src.length);
  for (let i = 0; i < bits.length; i++) {
    const word = bits[i]!;
    const sign = (word >>> 16) & 0x8000;
    const magnitude = word & 0x7fffffff;
    if (magnitude >= F32_TWO_TO_MINUS_14 && magnitude < F32_TWO_TO_16) {
      // Adding just under half a unit, plus one where the last kept bit is odd, carries exactly when nearest-even rounds up.
      out[i] = sign | ((magnitude - BIAS_DIFFERENCE + 0xfff + ((magnitude >>> 13) & 1)) >>> 13);
    } else if (magnitude < F32_TWO_TO_MINUS_14) {
      out[i] = sign | subnormalHalf(magnitude);
    } else {
      out[i] = sign | 0x7c00 | (magnitude > F32_INFINITY ? 0x200 | ((magnitude >>> 13) & 0x3ff) : 0);
    }
  }
  return out;
}

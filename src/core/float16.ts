/** IEEE 754 half precision, to and from float32, over whole arrays. */

/** Rounds to nearest even; overflow becomes infinity. */
export function float32ToFloat16(src: Float32Array): Uint16Array<ArrayBuffer> {
  const bits = new Uint32Array(src.buffer, src.byteOffset, src.length);
  const out = new Uint16Array(src.length);
  for (let i = 0; i < bits.length; i++) {
    const b = bits[i]!;
    const sign = (b >>> 16) & 0x8000;
    const magnitude = b & 0x7fffffff;
    if (magnitude >= 0x7f800000) out[i] = sign | (magnitude > 0x7f800000 ? 0x7e00 : 0x7c00);
    else if (magnitude >= 0x477ff000) out[i] = sign | 0x7c00;
    else if (magnitude >= 0x38800000) {
      const rounded = magnitude + 0xfff + ((magnitude >>> 13) & 1) - 0x38000000;
      out[i] = sign | (rounded >>> 13);
    } else if (magnitude >= 0x33000000) {
      const shift = 126 - (magnitude >>> 23);
      const mantissa = (magnitude & 0x7fffff) | 0x800000;
      const half = 1 << (shift - 1);
      const rest = mantissa & ((1 << shift) - 1);
      let value = mantissa >>> shift;
      if (rest > half || (rest === half && (value & 1) === 1)) value++;
      out[i] = sign | value;
    } else out[i] = sign;
  }
  return out;
}

/**
 * How frozen weights lie on the GPU, and the WGSL that reads them: kernels call `weight_quad(i)` and need not know. A format says how a
 * number is stored; the order of the numbers is the layer's (kernels/linear.ts, kernels/conv2d.ts).
 *
 * `int8` is absmax quantisation in blocks (Dettmers et al. 2022, "8-bit optimizers via block-wise quantization", section 2, with even
 * steps): 32 consecutive weights share one half, so a weight takes 8.5 bits and is off by at most 1/254 of its block's largest.
 */
import int8Reader from '../../shaders/weights_int8.wgsl?raw';
import f16UnpackedReader from '../../shaders/weights_f16_unpacked.wgsl?raw';
import f16Reader from '../../shaders/weights_f16.wgsl?raw';
import { float16ToFloat32 } from '../core/float16.ts';

export type WeightFormat = 'f16' | 'int8';

/** Weights that share a scale. */
const block = 32;
/** Words of weights that have one word of scales: two blocks. */
const wordsPerScales = (2 * block) / 4;

/** 32-bit words that `count` weights take. */
export function weightWords(count: number, format: WeightFormat): number {
  return format === 'f16' ? Math.ceil(count / 2) : Math.ceil(count / (2 * block)) * (wordsPerScales + 1);
}

/** The WGSL that stands before a shader that reads weights; declares `weight_word` and `weight_quad`, needs `w: array<weight_word>`. */
export function weightReader(format: WeightFormat, shaderF16: boolean): string {
  if (format === 'int8') return int8Reader;
  return shaderF16 ? f16Reader : f16UnpackedReader;
}

/** Weights given as halves, in the words of a format; the last word or block is filled up with zeros. */
export function packWeights(halves: Uint16Array<ArrayBuffer>, format: WeightFormat): Int32Array<ArrayBuffer> {
  if (format === 'int8') return quantize(halves);
  if (halves.length % 2 === 0 && halves.byteOffset % 4 === 0) {
    return new Int32Array(halves.buffer, halves.byteOffset, halves.length / 2);
  }
  const words = new Int32Array(weightWords(halves.length, format));
  new Uint16Array(words.buffer).set(halves);
  return words;
}

/** The weights in words of a format, with what they were filled up by: what kernels see, for their CPU references. */
export function readWeights(words: Int32Array, format: WeightFormat): Float32Array<ArrayBuffer> {
  if (format === 'f16') return float16ToFloat32(new Uint16Array(words.buffer, words.byteOffset, words.length * 2));
  const count = (words.length / (wordsPerScales + 1)) * wordsPerScales * 4;
  const bytes = new Int8Array(words.buffer, words.byteOffset, count);
  const scales = float16ToFloat32(new Uint16Array(words.buffer, words.byteOffset + count, count / block));
  return Float32Array.from(bytes, (value, i) => Math.fround(value / 127) * scales[Math.floor(i / block)]!);
}

function quantize(halves: Uint16Array<ArrayBuffer>): Int32Array<ArrayBuffer> {
  const words = new Int32Array(weightWords(halves.length, 'int8'));
  const count = (words.length / (wordsPerScales + 1)) * wordsPerScales * 4;
  const bytes = new Int8Array(words.buffer, 0, count);
  const scales = new Uint16Array(words.buffer, count, count / block);
  for (let start = 0; start < halves.length; start += chunk) {
    quantizeChunk(halves.subarray(start, start + chunk), bytes.subarray(start), scales.subarray(start / block));
  }
  return words;
}

/** Weights widened at a time: a multiple of a block, so that float32 copies stay small. */
const chunk = 2 ** 16;

function quantizeChunk(halves: Uint16Array, bytes: Int8Array, scales: Uint16Array): void {
  const values = float16ToFloat32(halves);
  for (let start = 0; start < values.length; start += block) {
    const end = Math.min(start + block, values.length);
    // Without their signs halves are in the order of their bits, so the largest magnitude is a half already.
    let largest = 0;
    for (let i = start; i < end; i++) largest = Math.max(largest, halves[i]! & 0x7fff);
    scales[start / block] = largest;
    if (largest === 0) continue;
    let magnitude = 0;
    for (let i = start; i < end; i++) magnitude = Math.max(magnitude, Math.abs(values[i]!));
    for (let i = start; i < end; i++) bytes[i] = Math.round((values[i]! / magnitude) * 127);
  }
}

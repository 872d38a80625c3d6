/** The hash by which A1111, CivitAI and kohya's tools know a LoRA: of its tensors' bytes, so that editing its header keeps it. */
import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex } from '@noble/hashes/utils.js';

/** Twelve hexadecimal digits, as a picture's `Lora hashes` have them. `bytes`: a whole safetensors file. */
export function loraShortHash(bytes: Uint8Array<ArrayBuffer>): string {
  const header = Number(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getBigUint64(0, true));
  return bytesToHex(sha256(bytes.subarray(8 + header))).slice(0, 12);
}

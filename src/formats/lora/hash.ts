/** The hash by which A1111, CivitAI and kohya's tools know a LoRA ("AutoV3"): SHA-256 of the tensors' bytes, so that edits of the header do not change it. */
import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex } from '@noble/hashes/utils.js';
import type { SafetensorsFile } from '../safetensors.ts';

const chunkBytes = 1 << 22;

/** 64 hexadecimal digits; A1111 shows the first 12. */
export async function modelHash(file: SafetensorsFile): Promise<string> {
  const hash = sha256.create();
  // Tensors lie without gaps, in the order of names().
  for (const name of file.names()) {
    const { byteLength } = file.info(name);
    for (let start = 0; start < byteLength; start += chunkBytes) {
      hash.update(await file.readBytes(name, { start, end: Math.min(start + chunkBytes, byteLength) }));
    }
  }
  return bytesToHex(hash.digest());
}

/** Twelve hexadecimal digits, as a picture's `Lora hashes` have them. `bytes`: a whole safetensors file. */
export function loraShortHash(bytes: Uint8Array<ArrayBuffer>): string {
  const header = Number(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getBigUint64(0, true));
  return bytesToHex(sha256(bytes.subarray(8 + header))).slice(0, 12);
}

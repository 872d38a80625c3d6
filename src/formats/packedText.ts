/**
 * A text packed for an address: DEFLATE, then base64url without padding, so that it survives fragments, chats and mails.
 * Unpacking is held to a size, because anybody can write a link.
 */
import { deflateSync, Inflate, strToU8 } from 'fflate';
import { LoratoryError } from '../core/errors.ts';

/** A packed text that cannot be unpacked. */
export class PackedTextError extends LoratoryError {
  readonly code = 'packed-text';

  constructor(reason: string) {
    super(
      `The link is damaged: ${reason}.`,
      'Copy the whole link again; long ones are cut by some programs. The recipe as a file always works.',
      { reason },
    );
  }
}

/** Characters that a link may have behind its `#`: ample for a thousand captions, and no strain to hold. */
const MAX_PACKED = 4_000_000;
/** Bytes that it may become. */
const MAX_UNPACKED = 16_000_000;

export function packText(text: string): string {
  const bytes = deflateSync(strToU8(text), { level: 9 });
  let binary = '';
  for (let i = 0; i < bytes.length; i += 4096) binary += String.fromCharCode(...bytes.subarray(i, i + 4096));
  return btoa(binary).replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '');
}

/** The text that {@link packText} packed. Throws {@link PackedTextError}. */
export function unpackText(packed: string): string {
  if (packed.length > MAX_PACKED) throw new PackedTextError('it is too long');
  if (!/^[\w-]+$/.test(packed)) throw new PackedTextError('it has characters that no link has');
  let bytes: Uint8Array;
  try {
    bytes = Uint8Array.from(atob(packed.replaceAll('-', '+').replaceAll('_', '/')), (char) => char.charCodeAt(0));
  } catch {
    throw new PackedTextError('its end is missing');
  }
  return decodeUtf8(inflate(bytes));
}

function inflate(bytes: Uint8Array): Uint8Array {
  const parts: Uint8Array[] = [];
  let size = 0;
  let finished = false;
  try {
    const stream = new Inflate((part, final) => {
      size += part.length;
      if (size > MAX_UNPACKED) throw new PackedTextError('what is in it is too large');
      parts.push(part);
      finished = final;
    });
    // In small pieces, so that no more than the limit is ever unpacked at once by much.
    for (let at = 0; at < bytes.length; at += 1024)
      stream.push(bytes.subarray(at, at + 1024), at + 1024 >= bytes.length);
  } catch (error) {
    if (error instanceof PackedTextError) throw error;
    throw new PackedTextError('it cannot be unpacked');
  }
  if (!finished) throw new PackedTextError('its end is missing');
  const whole = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

function decodeUtf8(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new PackedTextError('it holds no text');
  }
}

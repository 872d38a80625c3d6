/** Gathers bytes into a Blob, which the browser keeps outside the JavaScript heap, so that a file of gigabytes never lies in it. */

const flushBytes = 64 << 20;

/** @throws what `pieces` throws, and AbortError if `signal` is aborted. */
export async function blobOf(pieces: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<Blob> {
  const blobs: Blob[] = [];
  let parts: Uint8Array<ArrayBuffer>[] = [];
  let bytes = 0;
  const flush = (): void => {
    blobs.push(new Blob(parts));
    parts = [];
    bytes = 0;
  };
  for await (const piece of pieces) {
    signal.throwIfAborted();
    // A Blob takes its bytes over when it is made; until then a piece must not change.
    parts.push(piece.slice());
    bytes += piece.length;
    if (bytes >= flushBytes) flush();
  }
  flush();
  return new Blob(blobs, { type: 'application/octet-stream' });
}

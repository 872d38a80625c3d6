/**
 * Where bytes come from, without saying where: a Blob in IndexedDB, a file on disk, a ranged download, memory.
 * Readers ask for the ranges they need, so a model never lies in the JavaScript heap as a whole.
 */
export interface ByteSource {
  /** What to call it in an error message, e.g. `unet/diffusion_pytorch_model.fp16.safetensors`. */
  readonly name: string;
  /** Length in bytes. */
  readonly size: number;
  /** Bytes [start, end); rejects if the range does not lie within the source. The result is the caller's to keep. */
  read(start: number, end: number): Promise<Uint8Array<ArrayBuffer>>;
}

/** A folder of files with slash-separated relative paths: a model repository, wherever it is stored. */
export interface FileTree {
  /** What to call it in an error message, e.g. `stable-diffusion-v1-5/stable-diffusion-v1-5`. */
  readonly name: string;
  /** All paths, sorted. */
  list(): readonly string[];
  has(path: string): boolean;
  /** Rejects with a typed error that names the tree and the path if there is no such file. */
  open(path: string): Promise<ByteSource>;
}

/** A ByteSource over bytes that are in memory already. */
export function bytesSource(name: string, bytes: Uint8Array<ArrayBuffer>): ByteSource {
  return {
    name,
    size: bytes.length,
    read: async (start, end) => {
      if (start < 0 || end > bytes.length || start > end) {
        throw new RangeError(`${name}: bytes ${start} to ${end} of ${bytes.length}`);
      }
      return bytes.slice(start, end);
    },
  };
}

/** A ByteSource over a Blob or File. */
export function blobSource(name: string, blob: Blob): ByteSource {
  return {
    name,
    size: blob.size,
    read: async (start, end) => {
      if (start < 0 || end > blob.size || start > end) {
        throw new RangeError(`${name}: bytes ${start} to ${end} of ${blob.size}`);
      }
      return new Uint8Array(await blob.slice(start, end).arrayBuffer());
    },
  };
}

/** The whole source as text (UTF-8). For small files: configs and vocabularies. */
export async function readText(source: ByteSource): Promise<string> {
  return new TextDecoder().decode(await source.read(0, source.size));
}

/** Enough of the safetensors format to check a file that the studio has exported, written apart from the studio's own reader. */
import { readFile } from 'node:fs/promises';

export interface Parsed {
  readonly metadata: Readonly<Record<string, string>>;
  readonly tensors: ReadonlyMap<string, { readonly shape: readonly number[]; readonly values: Float32Array }>;
}

export async function parseSafetensors(path: string): Promise<Parsed> {
  const bytes = await readFile(path);
  const headerLength = Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.toString('utf8', 8, 8 + headerLength)) as Record<string, unknown>;
  const tensors = new Map<string, { shape: number[]; values: Float32Array }>();
  for (const [name, entry] of Object.entries(header)) {
    if (name === '__metadata__') continue;
    const {
      dtype,
      shape,
      data_offsets: offsets,
    } = entry as { dtype: string; shape: number[]; data_offsets: [number, number] };
    if (dtype !== 'F32') throw new Error(`${name}: ${dtype}`);
    const start = 8 + headerLength;
    tensors.set(name, {
      shape,
      values: new Float32Array(
        bytes.buffer.slice(bytes.byteOffset + start + offsets[0], bytes.byteOffset + start + offsets[1]),
      ),
    });
  }
  return { metadata: (header['__metadata__'] ?? {}) as Record<string, string>, tensors };
}

/** |a - b| / |b| over all tensors together (Euclidean). Throws if names or shapes differ. */
export function relativeDifference(a: Parsed, b: Parsed): number {
  const names = [...a.tensors.keys()].sort();
  if (names.join() !== [...b.tensors.keys()].sort().join()) throw new Error('The files hold different tensors');
  let difference = 0;
  let norm = 0;
  for (const name of names) {
    const x = a.tensors.get(name)!;
    const y = b.tensors.get(name)!;
    if (x.shape.join() !== y.shape.join()) throw new Error(`${name}: ${x.shape.join()} and ${y.shape.join()}`);
    y.values.forEach((value, i) => {
      difference += (x.values[i]! - value) ** 2;
      norm += value ** 2;
    });
  }
  return Math.sqrt(difference / norm);
}

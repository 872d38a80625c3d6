/**
 * Reads textual-inversion embeddings (Gal et al. 2022): rows that stand in the text encoder's token table for a word of their own.
 * Two forms of .safetensors: A1111's `emb_params`, and diffusers', whose one tensor is named as the word itself, `<cat-toy>`; [n, width] or
 * [width]. PyTorch's .pt and .bin are refused: they are Python programs.
 */
import { LoratoryError } from '../core/errors.ts';
import type { ByteSource } from '../core/files.ts';
import { defined } from '../core/invariant.ts';
import { openSafetensors } from './safetensors.ts';

export interface TextualInversion {
  /** What may be typed for it: the file's name without its ending, as in A1111, and the word in the file, if it has one. */
  readonly names: readonly string[];
  /** Each of the text encoder's hidden size. */
  readonly vectors: readonly Float32Array[];
}

export type TextualInversionFault = 'pickle' | 'not-embedding' | 'sdxl' | 'wrong-width' | 'too-long' | 'not-finite';

const REMEDIES: Readonly<Record<TextualInversionFault, string>> = {
  pickle: 'Take its .safetensors version, or convert it where you trust it.',
  'not-embedding': 'Choose a textual-inversion embedding in .safetensors.',
  sdxl: 'Choose an embedding made for Stable Diffusion 1.5.',
  'wrong-width': 'Choose an embedding made for this model.',
  'too-long': 'Choose an embedding with fewer vectors.',
  'not-finite': 'Download the file again; if it stays so, its training diverged.',
};

/** A file is no embedding for this model. `reason` says why. */
export class TextualInversionError extends LoratoryError {
  readonly code = 'textual-inversion';

  constructor(
    readonly file: string,
    readonly reason: TextualInversionFault,
    what: string,
  ) {
    super(`${file} ${what}.`, REMEDIES[reason], { file, reason });
  }
}

/**
 * Reads an embedding for a text encoder of width `width` (any, if not given) that takes `longest` tokens at a time.
 *
 * @throws {TextualInversionError | SafetensorsError} naming the file, what is wrong and what to do.
 */
export async function readTextualInversion(
  source: ByteSource,
  { width: wanted, longest }: { readonly width?: number; readonly longest: number },
): Promise<TextualInversion> {
  const file = source.name;
  const refuse = (reason: TextualInversionFault, what: string): never => {
    throw new TextualInversionError(file, reason, what);
  };
  const head = String.fromCharCode(...(await source.read(0, Math.min(2, source.size))));
  if (/\.(pt|bin|ckpt|pth)$/i.test(file) || head === 'PK' || /^\x80[\x02-\x05]/.test(head)) {
    refuse('pickle', 'is a PyTorch pickle, which can run any program when it is opened');
  }
  const tensors = await openSafetensors(source);
  if (tensors.has('clip_g')) refuse('sdxl', 'is an embedding for Stable Diffusion XL');
  const names = tensors.names();
  const name = tensors.has('emb_params') ? 'emb_params' : defined(names[0] ?? refuse('not-embedding', 'has no tensor'));
  if (name !== 'emb_params' && names.length > 1) {
    refuse('not-embedding', `holds ${names.length} tensors, and none of them is "emb_params"`);
  }
  const { shape } = tensors.info(name);
  const [count, rowWidth] = shape.length === 1 ? [1, shape[0]] : shape;
  if (shape.length > 2 || shape.length === 0 || count === 0) {
    refuse('not-embedding', `has a tensor of shape [${shape.join(', ')}] instead of rows`);
  }
  const width = defined(rowWidth);
  if (wanted !== undefined && width !== wanted)
    refuse('wrong-width', `has rows of ${width} numbers, but this model's have ${wanted}`);
  if (defined(count) > longest)
    refuse('too-long', `takes ${count} tokens, but the text encoder reads ${longest} at once`);
  const values = await tensors.readFloat32(name);
  if (!values.every(Number.isFinite)) refuse('not-finite', 'holds numbers that are infinite or not numbers');
  const stem = defined(file.split('/').at(-1)).replace(/\.safetensors$/i, '');
  return {
    names: [...new Set(name === 'emb_params' ? [stem] : [stem, name])],
    vectors: Array.from({ length: defined(count) }, (_, i) => values.slice(i * width, (i + 1) * width)),
  };
}

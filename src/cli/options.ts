/** Parsing of command-line values, with errors that say what is wanted. */
import { InvalidArgumentError } from 'commander';

/** A whole number. */
export function whole(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isInteger(value)) throw new InvalidArgumentError('A whole number is wanted.');
  return value;
}

/** A number. */
export function real(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value)) throw new InvalidArgumentError('A number is wanted.');
  return value;
}

/** Collects an option that may be given several times. */
export function repeated(text: string, before: readonly string[] = []): string[] {
  return [...before, text];
}

/** `FILE:WEIGHT`, or `FILE` with weight 1, or `FILE:UNET:TEXT` with a weight of its own for the text encoder. */
export function loraOption(text: string, before: readonly LoraOption[] = []): LoraOption[] {
  const [, path = '', weight, textEncoderWeight] = /^(.*?)(?::(-?\d*\.?\d+))?(?::(-?\d*\.?\d+))?$/.exec(text) ?? [];
  if (path === '') throw new InvalidArgumentError('FILE:WEIGHT is wanted, e.g. style.safetensors:0.8.');
  return [
    ...before,
    {
      path,
      weight: weight === undefined ? 1 : Number(weight),
      ...(textEncoderWeight === undefined ? {} : { textEncoderWeight: Number(textEncoderWeight) }),
    },
  ];
}

export interface LoraOption {
  readonly path: string;
  readonly weight: number;
  readonly textEncoderWeight?: number;
}

/** What a safetensors file says about itself, for people: form, size, ranks, alphas. Nothing but headers and alphas is read. */
import type { SafetensorsFile } from '../safetensors.ts';

export interface LoraDescription {
  readonly file: string;
  readonly form: 'kohya' | 'diffusers' | 'peft' | 'no LoRA';
  readonly tensors: number;
  readonly parameters: number;
  readonly dtypes: readonly string[];
  /** Distinct ranks, ascending; empty for a file that is no LoRA. */
  readonly ranks: readonly number[];
  /** Distinct values of alpha tensors, ascending. */
  readonly alphas: readonly number[];
  readonly unetModules: number;
  readonly textEncoderModules: number;
}

const down =
  /(\.lora_down\.weight|\.lora\.down\.weight|_lora\.down\.weight|\.lora_linear_layer\.down\.weight|\.lora_A(\.default)?\.weight)$/;

export async function describeLora(file: SafetensorsFile): Promise<LoraDescription> {
  const names = file.names();
  const downs = names.filter((name) => down.test(name));
  const isText = (name: string): boolean => /^(lora_te\d?_|text_encoder|te\d?\.)/.test(name);
  const alphas = new Set<number>();
  for (const name of names) {
    if (!name.endsWith('.alpha')) continue;
    const { dtype } = file.info(name);
    alphas.add(Number(dtype.startsWith('I') ? (await file.readInts(name))[0] : (await file.readFloat32(name))[0]));
  }
  const form =
    downs.length === 0
      ? 'no LoRA'
      : names.some((name) => name.includes('.lora_down.'))
        ? 'kohya'
        : names.some((name) => name.includes('.lora_A'))
          ? 'peft'
          : 'diffusers';
  const ascending = (values: Iterable<number>): number[] => [...new Set(values)].sort((a, b) => a - b);
  return {
    file: file.fileName,
    form,
    tensors: names.length,
    parameters: names.reduce((sum, name) => sum + file.info(name).shape.reduce((a, b) => a * b, 1), 0),
    dtypes: [...new Set(names.map((name) => file.info(name).dtype))].sort(),
    ranks: ascending(downs.map((name) => file.info(name).shape[0] ?? 0)),
    alphas: ascending(alphas),
    unetModules: downs.filter((name) => !isText(name)).length,
    textEncoderModules: downs.filter(isText).length,
  };
}

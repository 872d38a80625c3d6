/**
 * kohya's form (sd-scripts networks/lora.py), the one that every loader reads: a layer's path with underscores for dots, behind the
 * part of the model, and for each layer lora_down.weight, lora_up.weight and alpha.
 */
import { float32ToFloat16 } from '../../core/float16.ts';
import { encodeSafetensors, type SafetensorsFile, type TensorToWrite } from '../safetensors.ts';
import { flatten } from './keys.ts';
import { withHashes } from './metadata.ts';
import { readLora, requireFinite } from './readLora.ts';
import { type KnownModule, type LoraFile, LoraFileError, type LoraModule, type LoraTarget } from './types.ts';

const PREFIXES: Readonly<Record<LoraTarget, string>> = { unet: 'lora_unet', textEncoder: 'lora_te' };

/** kohya's name of a layer, e.g. `lora_unet_mid_block_attentions_0_transformer_blocks_0_attn1_to_q`. */
export function kohyaName({ module, target }: Pick<LoraModule, 'module' | 'target'>): string {
  return `${PREFIXES[target]}_${flatten(module)}`;
}

/** Reads a file of kohya's form; see readLora. Throws LoraFileError also if it is of another form. */
export async function readKohyaLora(
  file: SafetensorsFile,
  knownModules: readonly (string | KnownModule)[],
): Promise<LoraFile> {
  const lora = await readLora(file, knownModules);
  if (lora.form !== 'kohya')
    throw new LoraFileError(file.fileName, 'not-lora', `is a LoRA of ${lora.form}'s form, not kohya's`);
  return lora;
}

function tensorsOf(module: LoraModule, dtype: 'F16' | 'F32'): TensorToWrite[] {
  const { down, up, rank, alpha, inFeatures, outFeatures, kernel } = module;
  const name = kohyaName(module);
  const values = (data: Float32Array): ArrayBufferView => (dtype === 'F16' ? float32ToFloat16(data) : data);
  return [
    { name: `${name}.alpha`, dtype, shape: [], data: values(Float32Array.of(alpha)) },
    { name: `${name}.lora_down.weight`, dtype, shape: [rank, inFeatures, ...(kernel ?? [])], data: values(down) },
    { name: `${name}.lora_up.weight`, dtype, shape: [outFeatures, rank, ...(kernel ? [1, 1] : [])], data: values(up) },
  ];
}

/**
 * The bytes of a kohya file. `metadata` goes into the header, and with it the hashes by which A1111 knows the file. The same modules and
 * metadata always give the same bytes. Throws LoraFileError `not-finite` if a weight is no finite number.
 */
export function writeKohyaLora(
  modules: readonly LoraModule[],
  metadata: Readonly<Record<string, string>>,
  dtype: 'F16' | 'F32',
): Uint8Array<ArrayBuffer> {
  for (const module of modules) requireFinite('The adapter', module.module, module);
  const tensors = modules.flatMap((module) => tensorsOf(module, dtype));
  return encodeSafetensors(tensors, withHashes(tensors, metadata));
}

/**
 * diffusers' form as its save_lora_weights writes it (0.20 and later): dotted paths, no alphas. Older versions know no alpha outside of
 * kohya's form, so alpha / rank is multiplied into the up matrix, and every version reads the same adapter.
 */
import { float32ToFloat16 } from '../../core/float16.ts';
import { type Steps, within } from '../../core/steps.ts';
import { encodeSafetensors, type TensorToWrite } from '../safetensors.ts';
import { magnitudeTensors } from './peft.ts';
import { requireFinite } from './readLayer.ts';
import type { LoraModule } from './types.ts';
import { withHashes } from './metadata.ts';

const NAMES = {
  unet: { prefix: 'unet', branch: 'lora' },
  textEncoder: { prefix: 'text_encoder', branch: 'lora_linear_layer' },
} as const;

/** The bytes of a diffusers file, layer by layer. Throws LoraFileError `not-finite` if a weight is no finite number. */
export function* writeDiffusersLora(
  modules: readonly LoraModule[],
  metadata: Readonly<Record<string, string>>,
  dtype: 'F16' | 'F32',
): Steps<Uint8Array<ArrayBuffer>> {
  const tensors: TensorToWrite[] = [];
  for (const [i, module] of modules.entries()) {
    yield i / modules.length / 2;
    const { target, down, up, rank, alpha, inFeatures, outFeatures, kernel, magnitude } = module;
    requireFinite('The adapter', module.module, [[alpha], down, up, magnitude ?? []]);
    const scaled = alpha === rank ? up : up.map((value) => (value * alpha) / rank);
    const { prefix, branch } = NAMES[target];
    const name = `${prefix}.${module.module}.${branch}`;
    const values = (data: Float32Array): ArrayBufferView => (dtype === 'F16' ? float32ToFloat16(data) : data);
    tensors.push(
      { name: `${name}.down.weight`, dtype, shape: [rank, inFeatures, ...(kernel ?? [])], data: values(down) },
      { name: `${name}.up.weight`, dtype, shape: [outFeatures, rank, ...(kernel ? [1, 1] : [])], data: values(scaled) },
      ...magnitudeTensors(`${prefix}.${module.module}`, module, dtype),
    );
  }
  return encodeSafetensors(tensors, yield* within(0.5, 1, withHashes(tensors, { format: 'pt', ...metadata })));
}

/**
 * PEFT's form as its save_pretrained writes it: for each part of the model a folder with adapter_model.safetensors and
 * adapter_config.json, which has ranks and alphas (and, where they differ, patterns of paths).
 */
import { float32ToFloat16 } from '../../core/float16.ts';
import { type Steps, within } from '../../core/steps.ts';
import { encodeSafetensors, type TensorToWrite } from '../safetensors.ts';
import { withHashes } from './metadata.ts';
import { requireFinite } from './readLayer.ts';
import type { LoraModule, LoraTarget } from './types.ts';

const FOLDERS: Readonly<Record<LoraTarget, string>> = { unet: 'unet', textEncoder: 'text_encoder' };

/** The value that most modules have, and by module those that differ. */
function common(
  modules: readonly LoraModule[],
  valueOf: (module: LoraModule) => number,
): readonly [number, Readonly<Record<string, number>>] {
  const counts = new Map<number, number>();
  for (const module of modules) counts.set(valueOf(module), (counts.get(valueOf(module)) ?? 0) + 1);
  const [[most] = [0]] = [...counts].sort(([, a], [, b]) => b - a);
  const others = modules.filter((module) => valueOf(module) !== most);
  return [most, Object.fromEntries(others.map((module) => [module.module, valueOf(module)]))];
}

/** DoRA's magnitudes under PEFT's name, which diffusers shares: one an output, for convolutions [1, out, 1, 1]. */
export function magnitudeTensors(
  path: string,
  { magnitude, outFeatures, kernel }: LoraModule,
  dtype: 'F16' | 'F32',
): TensorToWrite[] {
  if (!magnitude) return [];
  const shape = kernel ? [1, outFeatures, 1, 1] : [outFeatures];
  const data = dtype === 'F16' ? float32ToFloat16(magnitude) : magnitude;
  return [{ name: `${path}.lora_magnitude_vector`, dtype, shape, data }];
}

/** adapter_config.json. Fields that it leaves out have PEFT's defaults. */
function configOf(modules: readonly LoraModule[]): Record<string, unknown> {
  const [rank, rankPattern] = common(modules, (module) => module.rank);
  const [alpha, alphaPattern] = common(modules, (module) => module.alpha);
  return {
    alpha_pattern: alphaPattern,
    base_model_name_or_path: null,
    bias: 'none',
    inference_mode: true,
    init_lora_weights: true,
    lora_alpha: alpha,
    lora_dropout: 0,
    modules_to_save: null,
    peft_type: 'LORA',
    r: rank,
    rank_pattern: rankPattern,
    target_modules: modules.map(({ module }) => module),
    task_type: null,
    use_dora: modules.some(({ magnitude }) => magnitude !== undefined),
    use_rslora: false,
  };
}

/** The files of a PEFT folder by their paths, e.g. `unet/adapter_config.json`, layer by layer. Throws LoraFileError `not-finite`. */
export function* writePeftLora(
  modules: readonly LoraModule[],
  metadata: Readonly<Record<string, string>>,
  dtype: 'F16' | 'F32',
): Steps<Map<string, Uint8Array<ArrayBuffer>>> {
  const files = new Map<string, Uint8Array<ArrayBuffer>>();
  let done = 0;
  for (const target of ['unet', 'textEncoder'] as const) {
    const own = modules.filter((module) => module.target === target);
    if (own.length === 0) continue;
    const tensors: TensorToWrite[] = [];
    const shareOf = (part: number): number => (done + part * own.length) / modules.length;
    for (const [i, module] of own.entries()) {
      yield shareOf(i / own.length / 2);
      const { down, up, rank, alpha, inFeatures, outFeatures, kernel, magnitude } = module;
      requireFinite('The adapter', module.module, [[alpha], down, up, magnitude ?? []]);
      const name = `base_model.model.${module.module}`;
      const values = (data: Float32Array): ArrayBufferView => (dtype === 'F16' ? float32ToFloat16(data) : data);
      tensors.push(
        { name: `${name}.lora_A.weight`, dtype, shape: [rank, inFeatures, ...(kernel ?? [])], data: values(down) },
        {
          name: `${name}.lora_B.weight`,
          dtype,
          shape: [outFeatures, rank, ...(kernel ? [1, 1] : [])],
          data: values(up),
        },
        ...magnitudeTensors(name, module, dtype),
      );
    }
    const hashed = withHashes(tensors, { format: 'pt', ...metadata });
    const bytes = encodeSafetensors(tensors, yield* within(shareOf(0.5), shareOf(1), hashed));
    files.set(`${FOLDERS[target]}/adapter_model.safetensors`, bytes);
    const config = `${JSON.stringify(configOf(own), null, 2)}\n`;
    files.set(`${FOLDERS[target]}/adapter_config.json`, new TextEncoder().encode(config));
    done += own.length;
  }
  return files;
}

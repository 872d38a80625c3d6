/**
 * kohya's form (sd-scripts networks/lora.py), the one that every loader reads: a layer's path with underscores for dots, behind the
 * part of the model, and for each layer lora_down.weight, lora_up.weight and alpha.
 */
import { float32ToFloat16 } from '../../core/float16.ts';
import { finish, type Steps, within } from '../../core/steps.ts';
import { encodeSafetensors, type SafetensorsFile, type TensorToWrite } from '../safetensors.ts';
import { flatten } from './keys.ts';
import { withHashes } from './metadata.ts';
import { asWeightChange } from './products.ts';
import { arraysOf, requireFinite } from './readLayer.ts';
import { readLora } from './readLora.ts';
import {
  FORM_NAMES,
  type KnownModule,
  type LoraFile,
  LoraFileError,
  type LoraModule,
  type LoraTarget,
  type Product,
  type WeightChange,
} from './types.ts';

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
    throw new LoraFileError(file.fileName, 'not-lora', `is a LoRA of ${FORM_NAMES[lora.form]}, not kohya's`);
  return lora;
}

type ToTensor = (part: string, shape: readonly number[], data: Float32Array) => TensorToWrite;

function toTensor(name: string, dtype: 'F16' | 'F32'): ToTensor {
  return (part, shape, data) => ({
    name: `${name}.${part}`,
    dtype,
    shape,
    data: dtype === 'F16' ? float32ToFloat16(data) : data,
  });
}

function lowRankTensors(module: Omit<LoraModule, 'magnitude'>, dtype: 'F16' | 'F32'): TensorToWrite[] {
  const { down, up, rank, alpha, inFeatures, outFeatures, kernel } = module;
  const put = toTensor(kohyaName(module), dtype);
  return [
    put('alpha', [], Float32Array.of(alpha)),
    put('lora_down.weight', [rank, inFeatures, ...(kernel ?? [])], down),
    put('lora_up.weight', [outFeatures, rank, ...(kernel ? [1, 1] : [])], up),
  ];
}

function moduleTensors(module: LoraModule, dtype: 'F16' | 'F32'): TensorToWrite[] {
  return module.magnitude ? changeTensors(asWeightChange(module), dtype) : lowRankTensors(module, dtype);
}

/** LyCORIS' names. A scale that no alpha can hold (of LoKr and of full differences) goes into a factor. */
function changeTensors(change: WeightChange, dtype: 'F16' | 'F32'): TensorToWrite[] {
  const { delta, scale, magnitude, bias, inFeatures, outFeatures, kernel = [] } = change;
  const put = toTensor(kohyaName(change), dtype);
  const scaled = (values: Float32Array): Float32Array => (scale === 1 ? values : values.map((value) => value * scale));
  const pair = (name: string, { a, b, rank }: Product): TensorToWrite[] => [
    put(`${name}_a`, [outFeatures, rank], a),
    put(`${name}_b`, [rank, b.length / rank], b),
  ];
  const tensors: TensorToWrite[] = [];
  if (delta?.kind === 'product') {
    const { a, b, rank } = delta.product;
    const { magnitude: _magnitude, ...layer } = change;
    tensors.push(...lowRankTensors({ ...layer, down: b, up: a, rank, alpha: scale * rank }, dtype));
  } else if (delta?.kind === 'hadamard') {
    const { first, second } = delta;
    tensors.push(put('alpha', [], Float32Array.of(scale * first.rank)));
    tensors.push(...pair('hada_w1', first), ...pair('hada_w2', second));
  } else if (delta?.kind === 'kronecker') {
    const { left, right, rows, columns } = delta;
    tensors.push(put('lokr_w1', [rows, columns], scaled(left)));
    tensors.push(put('lokr_w2', [outFeatures / rows, inFeatures / columns, ...kernel], right));
  } else if (delta) {
    tensors.push(put('diff', [outFeatures, inFeatures, ...kernel], scaled(delta.values)));
  }
  if (magnitude) {
    const ones = kernel.map(() => 1);
    const shape = magnitude.axis === 'output' ? [outFeatures, 1, ...ones] : [1, inFeatures, ...ones];
    tensors.push(put('dora_scale', shape, magnitude.values));
  }
  if (bias) tensors.push(put('diff_b', [outFeatures], bias));
  return tensors;
}

/**
 * The bytes of a kohya file. `metadata` goes into the header, and with it the hashes by which A1111 knows the file. The same modules and
 * metadata always give the same bytes. Throws LoraFileError `not-finite` if a weight is no finite number.
 */
export function writeKohyaLora(...parts: Parameters<typeof kohyaSteps>): Uint8Array<ArrayBuffer> {
  return finish(kohyaSteps(...parts));
}

/** {@link writeKohyaLora} layer by layer. */
export function* kohyaSteps(
  modules: readonly LoraModule[],
  metadata: Readonly<Record<string, string>>,
  dtype: 'F16' | 'F32',
  changes: readonly WeightChange[] = [],
): Steps<Uint8Array<ArrayBuffer>> {
  const tensors: TensorToWrite[] = [];
  const layers = modules.length + changes.length;
  for (const [i, module] of modules.entries()) {
    yield i / layers / 2;
    const { alpha, down, up, magnitude = [] } = module;
    requireFinite('The adapter', module.module, [[alpha], down, up, magnitude]);
    tensors.push(...moduleTensors(module, dtype));
  }
  for (const [i, change] of changes.entries()) {
    yield (modules.length + i) / layers / 2;
    requireFinite('The adapter', change.module, arraysOf(change));
    tensors.push(...changeTensors(change, dtype));
  }
  return encodeSafetensors(tensors, yield* within(0.5, 1, withHashes(tensors, metadata)));
}

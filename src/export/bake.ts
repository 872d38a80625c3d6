/**
 * Adapters added into a model's weights for good: a diffusers folder or a single file that needs no adapter any more. Weights are read,
 * changed and written one tensor at a time.
 */
import { float32ToFloat16 } from '../core/float16.ts';
import type { FileTree } from '../core/files.ts';
import { asWeightChange, denseChange } from '../formats/lora/products.ts';
import type { LoraTarget, WeightChange } from '../formats/lora/types.ts';
import { openModelWeights } from '../formats/modelWeights.ts';
import { planSafetensors, type SafetensorsFile, type TensorPlan } from '../formats/safetensors.ts';
import type { Lora } from './combine.ts';
import { ldmName, ldmTensorShape, type Component, type LdmShape } from './ldmNames.ts';

export interface BakeRequest {
  readonly tree: FileTree;
  readonly loras: readonly { readonly lora: Lora; readonly weight: number }[];
  readonly dtype: 'F16' | 'F32';
  /** Called with the number of tensors done and of all. */
  readonly onProgress?: (done: number, total: number) => void;
}

/** A file to be written, its bytes piece by piece. */
export interface BakedFile {
  readonly path: string;
  /** In bytes. */
  readonly size: number;
  pieces(): AsyncGenerator<Uint8Array>;
}

interface LazyTensor extends TensorPlan {
  read(): Promise<ArrayBufferView>;
}

const COMPONENTS: readonly {
  readonly component: Component;
  readonly target: LoraTarget | null;
  readonly file: string;
}[] = [
  { component: 'unet', target: 'unet', file: 'diffusion_pytorch_model.safetensors' },
  { component: 'text_encoder', target: 'textEncoder', file: 'model.safetensors' },
  { component: 'vae', target: null, file: 'diffusion_pytorch_model.safetensors' },
];

/** What is added to each weight and bias of a part of the model, by the tensor's name. */
function changesByTensor(
  loras: BakeRequest['loras'],
  target: LoraTarget | null,
): Map<string, { readonly change: WeightChange; readonly weight: number }[]> {
  const changes = new Map<string, { change: WeightChange; weight: number }[]>();
  for (const { lora, weight } of loras) {
    for (const change of [...lora.modules.map(asWeightChange), ...lora.changes]) {
      if (change.target !== target || weight === 0) continue;
      for (const part of change.bias ? ['weight', 'bias'] : ['weight']) {
        const name = `${change.module}.${part}`;
        changes.set(name, [...(changes.get(name) ?? []), { change, weight }]);
      }
    }
  }
  return changes;
}

/** A component's tensors as they will be written; nothing is read yet. */
async function componentTensors(
  { tree, loras, dtype }: BakeRequest,
  { component, target }: (typeof COMPONENTS)[number],
): Promise<LazyTensor[]> {
  const file = await openModelWeights(tree, component);
  const changes = changesByTensor(loras, target);
  return file.names().map((name): LazyTensor => {
    const { dtype: own, shape } = file.info(name);
    if (!/^B?F/.test(own)) return { name, dtype: own, shape, read: () => file.readBytes(name) };
    const list = changes.get(name);
    if (list) return { name, dtype, shape, read: () => bakedValues(file, name, list, dtype) };
    return { name, dtype, shape, read: () => (dtype === 'F16' ? file.readFloat16(name) : file.readFloat32(name)) };
  });
}

async function bakedValues(
  file: SafetensorsFile,
  name: string,
  list: readonly { readonly change: WeightChange; readonly weight: number }[],
  dtype: 'F16' | 'F32',
): Promise<ArrayBufferView> {
  const base = await file.readFloat32(name);
  const sum = Float64Array.from(base);
  for (const { change, weight } of list) {
    const added = name.endsWith('.bias') ? change.bias : denseChange(change, base);
    added?.forEach((value, i) => (sum[i]! += weight * value));
  }
  const values = Float32Array.from(sum);
  return dtype === 'F16' ? float32ToFloat16(values) : values;
}

function encoded(
  path: string,
  tensors: readonly LazyTensor[],
  metadata: Readonly<Record<string, string>>,
  onTensor: () => void,
): BakedFile {
  const { head, order, dataBytes } = planSafetensors(tensors, metadata);
  return {
    path,
    size: head.length + dataBytes,
    async *pieces() {
      yield head;
      for (const tensor of order) {
        const { buffer, byteOffset, byteLength } = await tensor.read();
        yield new Uint8Array(buffer, byteOffset, byteLength);
        onTensor();
      }
    },
  };
}

function progress(request: BakeRequest, total: number): () => void {
  let done = 0;
  return () => request.onProgress?.(++done, total);
}

const IS_WEIGHTS = /\.(safetensors|bin|ckpt|pt|pth|msgpack|onnx|pb|xml)$|\.index(\.\w+)?\.json$/;
const chunkBytes = 1 << 22;

async function copied(tree: FileTree, path: string): Promise<BakedFile> {
  const source = await tree.open(path);
  return {
    path,
    size: source.size,
    async *pieces() {
      for (let start = 0; start < source.size; start += chunkBytes) {
        yield source.read(start, Math.min(start + chunkBytes, source.size));
      }
    },
  };
}

/**
 * The files of a diffusers folder with the adapters in its weights: the UNet's, the text encoder's and the VAE's weights in one file each, and
 * whatever else the folder has (configs, vocabularies, the safety checker) as it is.
 *
 * @throws {NoModelWeightsError} where a part has no weights in safetensors form.
 */
export async function bakeFolder(request: BakeRequest): Promise<BakedFile[]> {
  const { tree } = request;
  const parts = await Promise.all(
    COMPONENTS.map(async (part) => ({ part, tensors: await componentTensors(request, part) })),
  );
  const onTensor = progress(
    request,
    parts.reduce((sum, { tensors }) => sum + tensors.length, 0),
  );
  const own = new RegExp(`^(${COMPONENTS.map(({ component }) => component).join('|')})/|^[^/]+$`);
  const others = tree.list().filter((path) => !(own.test(path) && IS_WEIGHTS.test(path)));
  return [
    ...(await Promise.all(others.map((path) => copied(tree, path)))),
    ...parts.map(({ part, tensors }) => encoded(`${part.component}/${part.file}`, tensors, { format: 'pt' }, onTensor)),
  ];
}

/** The whole model as one file in latent-diffusion's names, which A1111, Forge and ComfyUI read. */
export async function bakeSingleFile(request: BakeRequest, shape: LdmShape): Promise<BakedFile> {
  const tensors: LazyTensor[] = [];
  for (const part of COMPONENTS) {
    for (const tensor of await componentTensors(request, part)) {
      tensors.push({
        ...tensor,
        name: ldmName(part.component, tensor.name, shape),
        shape: ldmTensorShape(part.component, tensor.name, tensor.shape),
      });
    }
  }
  const onTensor = progress(request, tensors.length);
  const metadata = {
    'modelspec.sai_model_spec': '1.0.1',
    'modelspec.architecture': 'stable-diffusion-v1',
    format: 'pt',
  };
  return encoded('', tensors, metadata, onTensor);
}

/**
 * From named tensors in a file to layers on the GPU.
 *
 * Matrices and convolutions go up as f16 or int8 (gpu/weightFormat.ts) and stay frozen; biases, norms and embeddings that are read on the CPU stay
 * float32. One tensor is in the JavaScript heap at a time.
 */
import { bfloat16ToFloat32, float16ToFloat32 } from '../core/float16.ts';
import { invariant } from '../core/invariant.ts';
import { packConvWeights } from '../gpu/kernels/conv2d.ts';
import { frozenTensor, tensor, uploadTensor, type Tensor, type WeightFormat } from '../gpu/ops.ts';
import { Conv2d } from './conv2d.ts';
import { GroupNorm, LayerNorm } from './norms.ts';
import { Linear } from './linear.ts';

/** Named tensors of one model part, wherever they are stored. */
export interface WeightReader {
  has(name: string): boolean;
  info(name: string): { readonly shape: readonly number[]; readonly dtype: string };
  readFloat16(name: string): Promise<Uint16Array<ArrayBuffer>>;
  readFloat32(name: string): Promise<Float32Array<ArrayBuffer>>;
  readBytes(name: string, range: { readonly start: number; readonly end: number }): Promise<Uint8Array<ArrayBuffer>>;
}

/** A layer whose weights adapters may change (adapter/lora.ts). */
export type AdaptableLayer = Linear | Conv2d;

/** The modules of a layer in the model, in the order of its outputs. */
export function modulesOf(layer: AdaptableLayer): readonly string[] {
  return layer instanceof Conv2d ? [layer.module] : layer.modules;
}

/** What is trained in `layers`: A, B and DoRA's magnitudes of the branches that are plugged in, layer by layer. */
export function trainableTensors(layers: readonly AdaptableLayer[]): Tensor[] {
  return layers.flatMap(({ lora, magnitude }) =>
    lora ? [lora.a, lora.b, ...(magnitude ? [magnitude.vector] : [])] : [],
  );
}

const floatDtypes: Readonly<Record<string, { readonly bytes: number; toFloat32(bytes: ArrayBuffer): Float32Array }>> = {
  F32: { bytes: 4, toFloat32: (bytes) => new Float32Array(bytes) },
  F16: { bytes: 2, toFloat32: (bytes) => float16ToFloat32(new Uint16Array(bytes)) },
  BF16: { bytes: 2, toFloat32: (bytes) => bfloat16ToFloat32(new Uint16Array(bytes)) },
};

/** Reads one row of a matrix [rows, width] without reading the rest: a prompt uses 77 rows of a 76 MB table of tokens. */
export async function readRow(reader: WeightReader, name: string, row: number): Promise<Float32Array> {
  const { shape, dtype } = reader.info(name);
  const [rows = 0, width = 0] = shape;
  const kind = floatDtypes[dtype];
  invariant(kind && row >= 0 && row < rows, `${name}: row ${row} of ${rows}, ${dtype}`);
  const length = width * kind.bytes;
  const bytes = await reader.readBytes(name, { start: row * length, end: (row + 1) * length });
  return kind.toFloat32(bytes.slice().buffer);
}

/** Layers with fewer inputs or outputs are narrow. */
const narrowLayer = 32;

/** Builds layers from a {@link WeightReader}; remembers every tensor so that the model can be freed at once. */
export class LayerLoader {
  private readonly tensors: Tensor[] = [];
  private readonly layers: AdaptableLayer[] = [];

  constructor(
    readonly reader: WeightReader,
    private readonly onTensor: () => void = () => {},
    /** How the weights of wide layers are kept: see {@link formatFor}. */
    private readonly format: WeightFormat = 'f16',
  ) {}

  /**
   * One projection, or several of equal width over the same input side by side (packed q|k|v). Weights are [out, in] or, for
   * 1x1 convolutions, [out, in, 1, 1], which lie alike. `modules` names them in the model, without `.weight`.
   */
  async linear(modules: readonly string[]): Promise<Linear> {
    const shapes = modules.map((name) => this.reader.info(`${name}.weight`).shape);
    const [outEach, inFeatures] = shapes[0]!.slice(0, 2) as [number, number];
    for (const shape of shapes) {
      invariant(
        shape[0] === outEach && shape[1] === inFeatures && shape.slice(2).every((d) => d === 1),
        `${modules.join(', ')}: projections side by side must have equal shapes`,
        { shapes },
      );
    }
    const outFeatures = outEach * modules.length;
    const packed = new Uint16Array(outFeatures * inFeatures);
    for (const [i, name] of modules.entries()) {
      packed.set(await this.reader.readFloat16(`${name}.weight`), i * outEach * inFeatures);
    }
    const format = this.formatFor(inFeatures, outFeatures);
    const weight = this.frozen(packed, format);
    const hasBias = this.reader.has(`${modules[0]!}.bias`);
    let bias: Tensor | null = null;
    if (hasBias) {
      const values = new Float32Array(outFeatures);
      for (const [i, name] of modules.entries()) values.set(await this.reader.readFloat32(`${name}.bias`), i * outEach);
      bias = this.float(values, [outFeatures]);
    }
    return this.layer(new Linear({ weight, format, bias, inFeatures, outFeatures }, modules, shapes[0]!.length > 2));
  }

  async conv2d(name: string): Promise<Conv2d> {
    const shape = this.reader.info(`${name}.weight`).shape as [number, number, number, number];
    const [outChannels, inChannels, kernelSize] = shape;
    const bits = await this.reader.readFloat16(`${name}.weight`);
    const format = this.formatFor(inChannels, outChannels);
    const weight = this.frozen(packConvWeights(bits, shape), format);
    const bias = this.reader.has(`${name}.bias`) ? await this.vector(`${name}.bias`) : null;
    return this.layer(new Conv2d({ weight, format, bias, kernelSize, inChannels, outChannels }, name));
  }

  async groupNorm(name: string, groups: number, epsilon: number): Promise<GroupNorm> {
    return new GroupNorm(await this.vector(`${name}.weight`), await this.vector(`${name}.bias`), groups, epsilon);
  }

  async layerNorm(name: string, epsilon: number): Promise<LayerNorm> {
    return new LayerNorm(await this.vector(`${name}.weight`), await this.vector(`${name}.bias`), epsilon);
  }

  /** Hands over all tensors loaded so far; the model disposes them when it is freed. */
  takeTensors(): Tensor[] {
    return this.tensors.splice(0);
  }

  /** Hands over all layers loaded so far that adapters may change, in the order of loading. */
  takeLayers(): AdaptableLayer[] {
    return this.layers.splice(0);
  }

  private layer<T extends AdaptableLayer>(layer: T): T {
    this.layers.push(layer);
    return layer;
  }

  private async vector(name: string): Promise<Tensor> {
    const values = await this.reader.readFloat32(name);
    return this.float(values, [values.length]);
  }

  /** Narrow layers (the network's first and last) stay f16: they weigh next to nothing, and every error of theirs is in the picture. */
  private formatFor(inputs: number, outputs: number): WeightFormat {
    return Math.min(inputs, outputs) < narrowLayer ? 'f16' : this.format;
  }

  private frozen(halves: Uint16Array<ArrayBuffer>, format: WeightFormat): Tensor {
    return this.own(frozenTensor(halves, format));
  }

  private float(values: Float32Array, shape: readonly number[]): Tensor {
    return this.own(tensor(values, shape));
  }

  private own(t: Tensor): Tensor {
    uploadTensor(t);
    this.tensors.push(t);
    this.onTensor();
    return t;
  }
}

/** One layer's tensors in a LoRA file, turned into the change that they make. Shapes are checked before any value is read. */
import { defined } from '../../core/invariant.ts';
import type { SafetensorsFile } from '../safetensors.ts';
import type { AlphaOf } from './alphas.ts';
import type { LoraKey, LoraPart } from './keys.ts';
import { asWeightChange, expandKernel, multiply, transpose } from './products.ts';
import {
  type KnownModule,
  LoraFileError,
  type LoraModule,
  type Magnitude,
  type Product,
  type WeightChange,
} from './types.ts';

/** The tensors of one layer, by their parts. */
export interface TensorGroup {
  readonly key: LoraKey;
  readonly tensors: ReadonlyMap<LoraPart, string>;
}

/** What reading a layer needs to know. */
interface Layer {
  readonly file: SafetensorsFile;
  readonly group: TensorGroup;
  readonly known: KnownModule;
  readonly alphaOf: AlphaOf;
}

type Sizes = Pick<WeightChange, 'inFeatures' | 'outFeatures' | 'kernel'>;

function wrongShape({ file, group: { key } }: Layer, what: string): LoraFileError {
  return new LoraFileError(file.fileName, 'wrong-shape', `does not fit this model: ${key.label} ${what}`, key.label);
}

function has({ group }: Layer, part: LoraPart): boolean {
  return group.tensors.has(part);
}

/** The shape of a part that must be there. */
function shapeOf({ file, group: { key, tensors } }: Layer, part: LoraPart): readonly number[] {
  const name = tensors.get(part);
  if (name === undefined) {
    const what = /^(down|up|mid)$/.test(part) ? `${part} weight` : part;
    throw new LoraFileError(file.fileName, 'incomplete', `lacks the ${what} of ${key.label}`, key.label);
  }
  return file.info(name).shape;
}

function values({ file, group }: Layer, part: LoraPart): Promise<Float32Array> {
  return file.readFloat32(defined(group.tensors.get(part), part));
}

async function scalar({ file }: Layer, name: string): Promise<number> {
  const { dtype, shape } = file.info(name);
  if (shape.some((size) => size !== 1)) {
    throw new LoraFileError(file.fileName, 'wrong-shape', `has the alpha ${name} of shape [${shape.join(', ')}]`, name);
  }
  const [value] = /^B?F/.test(dtype) ? await file.readFloat32(name) : await file.readInts(name);
  return defined(value);
}

async function alphaFor(layer: Layer, rank: number): Promise<number> {
  const name = layer.group.tensors.get('alpha');
  return name === undefined ? layer.alphaOf(layer.group.key, rank) : scalar(layer, name);
}

/** More values than any layer of Stable Diffusion has: SD1.5's largest has 29.5 million. */
const mostValues = 2 ** 26;

/** Small factors may multiply to more than there is memory for: that is found out before they do. */
function requireRoom(layer: Layer, count: number): void {
  if (count > mostValues) throw wrongShape(layer, `makes ${count} values, more than any layer has`);
}

/** Holds what a layer's tensors say about its sizes to what the model's layer has. */
function checkSizes(layer: Layer, { inFeatures, outFeatures, kernel }: Sizes): void {
  const { known } = layer;
  if (known.inFeatures !== undefined && known.inFeatures !== inFeatures) {
    throw wrongShape(layer, `takes ${inFeatures} inputs, but the layer has ${known.inFeatures}`);
  }
  if (known.outFeatures !== undefined && known.outFeatures !== outFeatures) {
    throw wrongShape(layer, `gives ${outFeatures} outputs, but the layer has ${known.outFeatures}`);
  }
  const [height, width] = kernel ?? [1, 1];
  requireRoom(layer, inFeatures * outFeatures * height * width);
  const side = known.kernelSize ?? height;
  if (height !== side || width !== side) {
    throw wrongShape(layer, `has a kernel of ${height} x ${width}, but the layer one of ${side} x ${side}`);
  }
}

/** Throws unless all values are finite numbers. */
export function requireFinite(file: string, label: string, arrays: readonly ArrayLike<number>[]): void {
  for (const array of arrays) {
    for (let i = 0; i < array.length; i++) {
      if (!Number.isFinite(array[i])) {
        throw new LoraFileError(file, 'not-finite', `holds infinities or NaN in ${label}`, label);
      }
    }
  }
}

/** lora_down [rank, in(, kh, kw)], lora_up [out, rank(, 1, 1)], and between them lora_mid [rank, rank, kh, kw] of LoCon. */
async function readLowRank(layer: Layer): Promise<LoraModule> {
  const [down, up] = [shapeOf(layer, 'down'), shapeOf(layer, 'up')];
  const [rank = 0, inFeatures = 0, ...kernel] = down;
  const [outFeatures = 0, upRank = 0, ...upKernel] = up;
  const mid = has(layer, 'mid') ? shapeOf(layer, 'mid') : null;
  const isMatrixOrConv =
    (down.length === 2 || down.length === 4) && up.length === down.length && upKernel.every((size) => size === 1);
  const midFits = !mid || (mid.length === 4 && mid[1] === rank && kernel.every((size) => size === 1));
  if (!isMatrixOrConv || rank === 0 || upRank !== (mid ? mid[0] : rank) || !midFits) {
    const shapes = [down, ...(mid ? [mid] : []), up].map((shape) => `[${shape.join(', ')}]`);
    throw wrongShape(layer, `has the shapes ${shapes.join(' and ')}`);
  }
  const [height, width] = mid ? mid.slice(2) : kernel;
  const sizes: Sizes = {
    inFeatures,
    outFeatures,
    ...(height !== undefined && width !== undefined ? { kernel: [height, width] } : {}),
  };
  checkSizes(layer, sizes);
  const downValues = await values(layer, 'down');
  const taps = (height ?? 1) * (width ?? 1);
  requireRoom(layer, upRank * inFeatures * taps);
  return {
    module: layer.known.module,
    target: layer.group.key.target,
    down: mid ? expandKernel(await values(layer, 'mid'), downValues, [upRank, rank, taps]) : downValues,
    up: await values(layer, 'up'),
    rank: upRank,
    alpha: await alphaFor(layer, rank),
    ...sizes,
  };
}

/** One product of LoHa or LoKr: a [rows, rank], b [rank, columns(, taps)]; with a core t both are [rank, ...], a transposed. */
async function readProduct(
  layer: Layer,
  [a, b, t]: readonly [string, string, string],
): Promise<Product & { readonly rows: number; readonly taps: readonly number[] }> {
  const [shapeA, shapeB] = [shapeOf(layer, a), shapeOf(layer, b)];
  const core = has(layer, t) ? shapeOf(layer, t) : null;
  const [rank = 0, ...rest] = shapeB;
  const rows = (core ? shapeA[1] : shapeA[0]) ?? 0;
  const fits = core
    ? core.length === 4 && shapeA.length === 2 && shapeB.length === 2 && core[0] === shapeA[0] && core[1] === rank
    : shapeA.length === 2 && shapeA[1] === rank && (rest.length === 1 || rest.length === 3);
  if (!fits || rank === 0 || rows === 0) {
    throw wrongShape(layer, `has ${a} of shape [${shapeA.join(', ')}] and ${b} of [${shapeB.join(', ')}]`);
  }
  const [valuesA, valuesB] = [await values(layer, a), await values(layer, b)];
  if (!core) return { a: valuesA, b: valuesB, rank, rows, taps: rest.slice(1) };
  const [outer = 0, , height = 0, width = 0] = core;
  if (layer.known.kernelSize !== undefined && (height !== layer.known.kernelSize || width !== height)) {
    throw wrongShape(layer, `has the core ${t} of shape [${core.join(', ')}]`);
  }
  requireRoom(layer, outer * (valuesB.length / rank) * height * width);
  const expanded = expandKernel(await values(layer, t), valuesB, [outer, rank, height * width]);
  return { a: transpose(valuesA, outer), b: expanded, rank: outer, rows, taps: [height, width] };
}

/** The kernel that is left once `length` numbers an output are shared out among the layer's inputs. */
function sizesOf(layer: Layer, outFeatures: number, length: number, taps: readonly number[]): Sizes {
  const side = layer.known.kernelSize ?? 1;
  const kernel = taps.length === 2 ? ([taps[0]!, taps[1]!] as const) : side > 1 ? ([side, side] as const) : undefined;
  const sizes: Sizes = {
    outFeatures,
    inFeatures: length / (kernel ? kernel[0] * kernel[1] : 1),
    ...(kernel ? { kernel } : {}),
  };
  checkSizes(layer, sizes);
  return sizes;
}

async function readHadamard(layer: Layer): Promise<WeightChange> {
  const first = await readProduct(layer, ['hada_w1_a', 'hada_w1_b', 'hada_t1']);
  const second = await readProduct(layer, ['hada_w2_a', 'hada_w2_b', 'hada_t2']);
  if (first.rows !== second.rows || first.b.length / first.rank !== second.b.length / second.rank) {
    throw wrongShape(layer, 'has two products of different sizes');
  }
  return {
    module: layer.known.module,
    target: layer.group.key.target,
    ...sizesOf(layer, first.rows, first.b.length / first.rank, first.taps),
    delta: { kind: 'hadamard', first, second },
    scale: (await alphaFor(layer, first.rank)) / first.rank,
  };
}

/** A factor of LoKr: whole, or itself a product. */
async function readFactor(
  layer: Layer,
  name: 'lokr_w1' | 'lokr_w2',
): Promise<{ values: Float32Array; rows: number; rank: number | undefined; taps: readonly number[] }> {
  if (has(layer, name)) {
    const shape = shapeOf(layer, name);
    if ((shape.length !== 2 && shape.length !== 4) || shape.includes(0)) {
      throw wrongShape(layer, `has ${name} of shape [${shape.join(', ')}]`);
    }
    return { values: await values(layer, name), rows: shape[0]!, rank: undefined, taps: shape.slice(2) };
  }
  const { a, b, rank, rows, taps } = await readProduct(layer, [
    `${name}_a`,
    `${name}_b`,
    name === 'lokr_w1' ? 'lokr_t1' : 'lokr_t2',
  ]);
  // The factor is no larger than the layer that it makes, which its own shapes have to show before it is multiplied out.
  const { outFeatures = Infinity, inFeatures = Infinity, kernelSize = Infinity } = layer.known;
  if (rows > outFeatures || b.length / rank > inFeatures * kernelSize ** 2) {
    throw wrongShape(layer, `has the factor ${name} of ${rows} rows and ${b.length / rank} columns`);
  }
  requireRoom(layer, rows * (b.length / rank));
  return { values: multiply(a, b, rank), rows, rank, taps };
}

async function readKronecker(layer: Layer): Promise<WeightChange> {
  const left = await readFactor(layer, 'lokr_w1');
  const right = await readFactor(layer, 'lokr_w2');
  const columns = left.values.length / left.rows;
  const sizes = sizesOf(layer, left.rows * right.rows, (columns * right.values.length) / right.rows, right.taps);
  // Two whole factors have no rank, and alpha does not count.
  const rank = right.rank ?? left.rank;
  return {
    module: layer.known.module,
    target: layer.group.key.target,
    ...sizes,
    delta: { kind: 'kronecker', left: left.values, rows: left.rows, columns, right: right.values },
    scale: rank === undefined ? 1 : (await alphaFor(layer, rank)) / rank,
  };
}

async function readFull(layer: Layer): Promise<WeightChange> {
  const { inFeatures = 0, outFeatures = 0, kernelSize = 1 } = layer.known;
  const whole = has(layer, 'diff');
  const shape = whole
    ? shapeOf(layer, 'diff')
    : [outFeatures || shapeOf(layer, 'diff_b')[0]!, inFeatures, kernelSize, kernelSize];
  if (shape.length !== 4 && !(shape.length === 2 && kernelSize === 1))
    throw wrongShape(layer, `has a diff of shape [${shape.join(', ')}]`);
  const [out = 0, , ...taps] = shape;
  const sizes = sizesOf(
    layer,
    out,
    shape.slice(1).reduce((a, b) => a * b, 1),
    taps,
  );
  return {
    module: layer.known.module,
    target: layer.group.key.target,
    ...sizes,
    delta: whole ? { kind: 'full', values: await values(layer, 'diff') } : null,
    scale: 1,
  };
}

/** DoRA's magnitudes: kohya's and LyCORIS' dora_scale is [out, 1, ...] or [1, in, ...], PEFT's vector one an output. */
async function readMagnitude(layer: Layer, { inFeatures, outFeatures }: Sizes): Promise<Magnitude> {
  const shape = shapeOf(layer, 'magnitude');
  const count = shape.reduce((a, b) => a * b, 1);
  const isVector = layer.group.tensors.get('magnitude')!.includes('lora_magnitude_vector');
  const perOutput = count === outFeatures && (shape.length === 1 || shape[0] === count || isVector);
  if (!perOutput && (count !== inFeatures || shape[0] !== 1)) {
    throw wrongShape(layer, `has magnitudes of shape [${shape.join(', ')}]`);
  }
  return { values: await values(layer, 'magnitude'), axis: perOutput ? 'output' : 'input' };
}

async function readBias(layer: Layer, { outFeatures }: Sizes): Promise<Float32Array> {
  const shape = shapeOf(layer, 'diff_b');
  if (shape.length !== 1 || shape[0] !== outFeatures) {
    throw wrongShape(layer, `has a diff_b of shape [${shape.join(', ')}], but the layer has ${outFeatures} outputs`);
  }
  return values(layer, 'diff_b');
}

/** All arrays of a change, for checks. */
export function arraysOf({ delta, scale, magnitude, bias }: WeightChange): ArrayLike<number>[] {
  const products = (...list: readonly Product[]): Float32Array[] => list.flatMap(({ a, b }) => [a, b]);
  const inDelta = (): Float32Array[] => {
    switch (delta?.kind) {
      case undefined:
        return [];
      case 'product':
        return products(delta.product);
      case 'hadamard':
        return products(delta.first, delta.second);
      case 'kronecker':
        return [delta.left, delta.right];
      case 'full':
        return [delta.values];
    }
  };
  return [[scale], ...inDelta(), ...(magnitude ? [magnitude.values] : []), ...(bias ? [bias] : [])];
}

/** Reads one layer. Throws LoraFileError `incomplete`, `wrong-shape` or `not-finite`. */
export async function readLayer(
  file: SafetensorsFile,
  group: TensorGroup,
  known: KnownModule,
  alphaOf: AlphaOf,
): Promise<LoraModule | WeightChange> {
  const layer: Layer = { file, group, known, alphaOf };
  const { label } = group.key;
  const parts = [...group.tensors.keys()];
  let change: WeightChange;
  if (parts.some((part) => part.startsWith('hada_'))) change = await readHadamard(layer);
  else if (parts.some((part) => part.startsWith('lokr_'))) change = await readKronecker(layer);
  else if (parts.some((part) => part.startsWith('diff')) && !has(layer, 'down')) change = await readFull(layer);
  else {
    const module = await readLowRank(layer);
    requireFinite(file.fileName, label, [[module.alpha], module.down, module.up]);
    if (!has(layer, 'magnitude') && !has(layer, 'diff_b')) return module;
    change = asWeightChange(module);
  }
  const whole: WeightChange = {
    ...change,
    ...(has(layer, 'magnitude') ? { magnitude: await readMagnitude(layer, change) } : {}),
    ...(has(layer, 'diff_b') ? { bias: await readBias(layer, change) } : {}),
  };
  requireFinite(file.fileName, label, arraysOf(whole));
  return whole;
}

/**
 * Tiles: the one template that all matrix products share (shaders/tile.wgsl) and the shapes that it takes. A workgroup computes
 * `rows` x `columns` outputs; larger tiles read less, smaller ones keep more of a GPU busy. No shape changes a bit of a result, so
 * which is used may be decided by timing: see tileTuner.ts.
 */
import matrixUnits from '../../../shaders/matrix_subgroup.wgsl?raw';
import tile from '../../../shaders/tile.wgsl?raw';
import factorsF16 from '../../../shaders/tile_f16.wgsl?raw';
import factorsF32 from '../../../shaders/tile_f32.wgsl?raw';
import matrixTile from '../../../shaders/tile_matrix.wgsl?raw';
import plainTile from '../../../shaders/tile_plain.wgsl?raw';
import type { MatrixSizes } from '../device.ts';
import { HalfPrecisionError } from '../errors.ts';
import type { Precision } from '../precision.ts';
import { dispatch, runtime, type Dispatch } from '../runtime.ts';
import { weightReader } from '../weightFormat.ts';
import { textHash, tileTuner } from './tileTuner.ts';
import { unroll } from './unroll.ts';

/** Outputs of a workgroup: powers of two from 32 to 128. */
export interface TileShape {
  readonly rows: number;
  readonly columns: number;
}

/** What every device can run, and what software GPUs compile and run fastest. */
export const defaultTile: TileShape = { rows: 64, columns: 64 };

/** All that may be chosen; the default is among them. */
export const tileShapes: readonly TileShape[] = [
  { rows: 32, columns: 64 },
  { rows: 64, columns: 32 },
  defaultTile,
  { rows: 64, columns: 128 },
  { rows: 128, columns: 64 },
  { rows: 128, columns: 128 },
];

/** What a shape is called where it is remembered or reported. */
export function nameOf({ rows, columns }: TileShape): string {
  return `${rows}x${columns}`;
}

/** A dispatch of a shader that is written for tile.wgsl, which is put before it. */
export interface TiledProduct extends Omit<Dispatch, 'workgroups'> {
  /** Of the product's result: what the tiles must cover. */
  readonly rows: number;
  readonly columns: number;
  /** Products of this size, or parts of one: the grid's z. */
  readonly count: number;
  readonly precision: Precision;
}

/** How a device multiplies small matrices: their sizes, and the shader that does. Emulated in tests only. */
export interface MatrixUnits extends MatrixSizes {
  readonly emulation?: string;
}

/** What a tile is made of: its factors, and who multiplies them. */
export type TileKind = { readonly precision: Precision; readonly units: MatrixUnits | null };

/** Of each device, once kernels/matrixCheck.ts has found that they compute right. */
const trusted = new WeakMap<GPUDevice, MatrixUnits>();

/** From now on products in f16 are left to the device's units for matrices; null: no longer. */
export function trustMatrixUnits(units: MatrixUnits | null): void {
  const { device } = runtime();
  if (units) trusted.set(device, units);
  else trusted.delete(device);
}

/** What a product of this precision is computed by; throws {@link HalfPrecisionError} where the device has no halves. */
function kindFor(precision: Precision): TileKind {
  if (precision === 'f32') return { precision, units: null };
  const { device, shaderF16 } = runtime();
  if (!shaderF16) throw new HalfPrecisionError();
  return { precision, units: trusted.get(device) ?? null };
}

/** Outputs of an invocation, in each direction. */
const outputsPerThread = 8;

let forced: TileShape | null = null;

/** Takes this shape for all products from now on, for tests; null ends that. */
export function forceTile(shape: TileShape | null): void {
  forced = shape;
}

/** Puts a matrix product into the command stream, in tiles of the shape that suits it. */
export function dispatchProduct(product: TiledProduct): void {
  const kind = kindFor(product.precision);
  dispatch(tiledDispatch(product, forced ?? tunedTile(product, kind) ?? defaultTile, kind));
}

const shapesByName = new Map(tileShapes.map((shape) => [nameOf(shape), shape]));

function tunedTile(product: TiledProduct, kind: TileKind): TileShape | null {
  const tuner = tileTuner();
  if (!tuner) return null;
  const { flop = 0 } = product;
  const name = tuner.choose(productKey(product, kind), () => {
    const ways = [defaultTile, ...tileShapes.filter((shape) => shape !== defaultTile && suits(shape, product))];
    return { flop, ways: new Map(ways.map((shape) => [nameOf(shape), tiledDispatch(product, shape, kind)])) };
  });
  return name === null ? null : (shapesByName.get(name) ?? null);
}

/** Whether a product is large enough for a shape: half of it must not be idle. */
function suits(shape: TileShape, { rows, columns }: TiledProduct): boolean {
  return rows > shape.rows / 2 && columns > shape.columns / 2;
}

/** What a choice depends on beside the device: the shader's text, what it is compiled and called with. */
function productKey(
  { label, shader, constants = {}, weights, uniforms = [], count }: TiledProduct,
  kind: TileKind,
): string {
  const reader = weights === undefined ? '' : weightReader(weights, runtime().shaderF16);
  const text = `${textHash(withTile(shader, kind))}${textHash(reader)}`;
  return `${label} ${text} ${Object.entries(constants).join()} ${uniforms.map((value) => (typeof value === 'number' ? value : value.f32)).join()} ${count}`;
}

/** Subgroups that matrix units want, and invocations that are at least needed for two rows of two. */
const subgroupSize = 32;
const fewestMatrixThreads = 4 * subgroupSize;

/** As in tile.wgsl. */
const tileDepth = 16;

/** Quads of halves between the rows of a tile: 16 bytes, so that those of a small matrix lie in different banks, if there is room for them. */
function paddingFor({ rows, columns }: TileShape, threads: number, { m, n }: MatrixUnits): number {
  const padding = 2;
  const tileBytes = (rows / 4 + columns / 4 + 2 * padding) * tileDepth * 8;
  const resultBytes = (threads / subgroupSize) * m * n * 4;
  return tileBytes + resultBytes <= runtime().device.limits.maxComputeWorkgroupStorageSize ? padding : 0;
}

/** The dispatch that computes `product` in tiles of this shape and kind. */
export function tiledDispatch(product: TiledProduct, shape: TileShape, kind: TileKind): Dispatch {
  const { shader, constants, rows, columns, count, precision: _, ...rest } = product;
  const { units } = kind;
  const plainThreads = (shape.rows / outputsPerThread) * (shape.columns / outputsPerThread);
  const threads = units ? Math.max(fewestMatrixThreads, plainThreads) : plainThreads;
  const loops = {
    TILE_LEFT_LOADS: Math.ceil(shape.rows / threads),
    TILE_RIGHT_LOADS: Math.ceil(shape.columns / threads),
    ...(units
      ? {
          TILE_SUMS_DOWN: shape.rows / 2 / units.m,
          TILE_SUMS_ACROSS: shape.columns / (threads / (2 * subgroupSize)) / units.n,
        }
      : {}),
  };
  return {
    ...rest,
    shader: unroll(withTile(shader, kind), loops),
    constants: {
      ...constants,
      ...loops,
      TILE_ROWS: shape.rows,
      TILE_COLUMNS: shape.columns,
      TILE_THREADS: threads,
      TILE_HALVES: kind.precision === 'f16',
      TILE_PADDING: units ? paddingFor(shape, threads, units) : 0,
      ...(units ? { MATRIX_M: units.m, MATRIX_N: units.n, MATRIX_K: units.k } : {}),
    },
    subgroupMatrices: units !== null && units.emulation === undefined,
    workgroups: [Math.ceil(columns / shape.columns), Math.ceil(rows / shape.rows), count],
  };
}

const tiled = new Map<string, Map<string, string>>();

/** Each text is made once: it is looked up with every dispatch, and to hash a new string of this length takes longer than all the rest. */
function withTile(shader: string, { precision, units }: TileKind): string {
  let texts = tiled.get(shader);
  if (!texts) tiled.set(shader, (texts = new Map()));
  const name = units ? `${precision} ${units.emulation ?? 'units'}` : precision;
  let text = texts.get(name);
  if (text === undefined) {
    const factors = precision === 'f16' ? factorsF16 : factorsF32;
    const multiply = units ? (units.emulation ?? matrixUnits) + matrixTile : plainTile;
    texts.set(name, (text = factors + tile + multiply + shader));
  }
  return text;
}

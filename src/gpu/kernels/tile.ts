/**
 * Tiles: the one template that all matrix products share (shaders/tile.wgsl) and the shapes that it takes. A workgroup computes
 * `rows` x `columns` outputs; larger tiles read less, smaller ones keep more of a GPU busy. No shape changes a bit of a result, so
 * which is used may be decided by timing: see tileTuner.ts.
 */
import tile from '../../../shaders/tile.wgsl?raw';
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
  dispatch(tiledDispatch(product, forced ?? tunedTile(product) ?? defaultTile));
}

const shapesByName = new Map(tileShapes.map((shape) => [nameOf(shape), shape]));

function tunedTile(product: TiledProduct): TileShape | null {
  const tuner = tileTuner();
  if (!tuner) return null;
  const { flop = 0 } = product;
  const name = tuner.choose(productKey(product), () => {
    const ways = [defaultTile, ...tileShapes.filter((shape) => shape !== defaultTile && suits(shape, product))];
    return { flop, ways: new Map(ways.map((shape) => [nameOf(shape), tiledDispatch(product, shape)])) };
  });
  return name === null ? null : (shapesByName.get(name) ?? null);
}

/** Whether a product is large enough for a shape: half of it must not be idle. */
function suits(shape: TileShape, { rows, columns }: TiledProduct): boolean {
  return rows > shape.rows / 2 && columns > shape.columns / 2;
}

/** What a choice depends on beside the device: the shader's text, what it is compiled and called with. */
function productKey({ label, shader, constants = {}, weights, uniforms = [], count }: TiledProduct): string {
  const reader = weights === undefined ? '' : weightReader(weights, runtime().shaderF16);
  const text = `${textHash(withTile(shader))}${textHash(reader)}`;
  return `${label} ${text} ${Object.entries(constants).join()} ${uniforms.map((value) => (typeof value === 'number' ? value : value.f32)).join()} ${count}`;
}

/** The dispatch that computes `product` in tiles of this shape. */
export function tiledDispatch(product: TiledProduct, shape: TileShape): Dispatch {
  const { shader, constants, rows, columns, count, ...rest } = product;
  const threads = (shape.rows / outputsPerThread) * (shape.columns / outputsPerThread);
  const loads = {
    TILE_LEFT_LOADS: Math.ceil(shape.rows / threads),
    TILE_RIGHT_LOADS: Math.ceil(shape.columns / threads),
  };
  return {
    ...rest,
    shader: unroll(withTile(shader), loads),
    constants: { ...constants, ...loads, TILE_ROWS: shape.rows, TILE_COLUMNS: shape.columns, TILE_THREADS: threads },
    workgroups: [Math.ceil(columns / shape.columns), Math.ceil(rows / shape.rows), count],
  };
}

const tiled = new Map<string, string>();

/** Each text is made once: `unroll` looks it up, and a string's hash is computed once. */
function withTile(shader: string): string {
  let text = tiled.get(shader);
  if (text === undefined) tiled.set(shader, (text = tile + shader));
  return text;
}

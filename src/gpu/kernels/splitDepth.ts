/**
 * Split-K: a product with few tiles and a long depth, as at UNet's lowest level, keeps most of a GPU idle. So several workgroups
 * share the depth of a tile, each writes its part, and a second kernel adds the parts and what hangs on the product. No atomics: the
 * order of additions, and with it every bit, depends on the sizes alone.
 */
import joinShader from '../../../shaders/join_splits.wgsl?raw';
import { dispatch, emptyTensor, releaseTensor, runtime, type TensorInfo } from '../runtime.ts';
import { flatGrid } from './grid.ts';

/** Of the default tile, and the yardstick whatever tile is chosen: a choice by timing must not move the splits. */
const tileSide = 64;
/** As in tile.wgsl. */
const tileDepth = 16;
/** Workgroups that keep a GPU busy; more than that, and parts cost more than they bring. */
const enoughWorkgroups = 160;
/** A dispatch and a pass over the parts more must pay: with fewer splits, or shorter ones, they do not. */
const fewestSplits = 4;
const shortestSplit = 12 * tileDepth;
/** A single row is bound by reading the weights, whoever reads them. */
const fewestRows = 16;

export interface ProductSizes {
  readonly rows: number;
  readonly columns: number;
  readonly depth: number;
  /** Products of these sizes in the same dispatch. */
  readonly count?: number;
}

/** Among how many workgroups the depth of each tile is split: 1 where that does not pay, and on processors that play a GPU. */
export function depthSplits({ rows, columns, depth, count = 1 }: ProductSizes): number {
  if (runtime().opened.isSoftware || rows < fewestRows) return 1;
  const tiles = Math.ceil(rows / tileSide) * Math.ceil(columns / tileSide) * count;
  const splits = Math.min(Math.floor(enoughWorkgroups / tiles), Math.floor(depth / shortestSplit));
  return splits >= fewestSplits ? splits : 1;
}

export interface Epilogue {
  /** [columns] */
  readonly bias?: TensorInfo | null;
  /** [images, columns] */
  readonly time?: TensorInfo | null;
  /** As the result. */
  readonly residual?: TensorInfo | null;
}

/**
 * Runs a product whose result has `shape`: `multiply` writes it with all of its epilogue, or, for `splits` > 1, parts
 * [splits, ...shape] without any.
 */
export function splitProduct(
  shape: readonly number[],
  splits: number,
  { bias = null, time = null, residual = null }: Epilogue,
  multiply: (output: TensorInfo, epilogue: Required<Epilogue>) => void,
): TensorInfo {
  const y = emptyTensor(shape);
  if (splits === 1) {
    multiply(y, { bias, time, residual });
    return y;
  }
  const parts = emptyTensor([splits, ...shape]);
  multiply(parts, { bias: null, time: null, residual: null });
  const size4 = shape.reduce((a, b) => a * b, 1) / 4;
  const width4 = shape.at(-1)! / 4;
  dispatch({
    shader: joinShader,
    label: 'join_splits',
    outputs: [y],
    inputs: [parts, bias, time, residual],
    uniforms: [size4, width4, size4 / shape[0]!, splits, ...[bias, time, residual].map((t) => Number(t !== null))],
    workgroups: flatGrid(size4, 64),
  });
  releaseTensor(parts);
  return y;
}

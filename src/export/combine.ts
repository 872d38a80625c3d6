/**
 * Several adapters as one, and one adapter at a lower rank. Low-rank pairs are put side by side, which is exact; the lower rank is
 * found by the singular values of a small matrix only: up = Q R, downᵀ = P T, and R Tᵀ is [rank, rank] (kohya's resize_lora and
 * merge_lora do the same on the whole product). Of LoKr and full differences, which have no small factors, the range is found by
 * random projections (Halko, Martinsson & Tropp 2011).
 */
import { finish, type Steps } from '../core/steps.ts';
import { LoratoryError } from '../core/errors.ts';
import { matmul, matrix, qr, svd, transposed, type Matrix } from '../core/linearAlgebra.ts';
import { deriveSeed, TorchGenerator } from '../core/rng.ts';
import { asWeightChange, denseChange } from '../formats/lora/products.ts';
import type { LoraFile, LoraModule, LoraTarget, Product, WeightChange } from '../formats/lora/types.ts';

/** What is needed of a LoRA file here. */
export type Lora = Pick<LoraFile, 'modules' | 'changes'>;

/** An adapter cannot be brought to low rank as it was asked for. */
export class CombineError extends LoratoryError {
  readonly code = 'combine-lora';
}

export interface WeightedLora {
  readonly lora: Lora;
  readonly weight: number;
}

export interface LayerError {
  readonly module: string;
  /** Before and after. */
  readonly ranks: readonly [number, number];
  /** What is lost, as a share of the layer's change: |before - after| / |before|, Frobenius. */
  readonly error: number;
}

export interface Combined {
  readonly lora: Lora;
  readonly layers: readonly LayerError[];
  /** The same over all layers together. */
  readonly error: number;
}

/** An adapter as it is added up: its parts of the UNet and of the text encoder each at a weight of its own. */
export function atWeights(
  { modules, changes }: Lora,
  { weight, textEncoderWeight = weight }: { readonly weight: number; readonly textEncoderWeight?: number },
): WeightedLora[] {
  const part = (wanted: LoraTarget): Lora => ({
    modules: modules.filter(({ target }) => target === wanted),
    changes: changes.filter(({ target }) => target === wanted),
  });
  return [
    { lora: part('unet'), weight },
    { lora: part('textEncoder'), weight: textEncoderWeight },
  ];
}

/** A product with how much of the change it stands for it does not hold, as a sum of squares. */
interface Approximation {
  readonly product: Product;
  readonly lost: number;
}

const oversampling = 8;
const powerIterations = 3;

/**
 * Adds up `inputs`, each times its weight. `rank`: the largest that a layer may have; null keeps all of it.
 *
 * @throws {CombineError} for DoRA, and for changes of full rank where no rank is given.
 */
export function combineLoras(inputs: readonly WeightedLora[], rank: number | null): Combined {
  return finish(combineSteps(inputs, rank));
}

/** {@link combineLoras} layer by layer, for those who have more to do meanwhile: yields the share that is done, 0..1. */
export function* combineSteps(inputs: readonly WeightedLora[], rank: number | null): Steps<Combined> {
  if (rank !== null && !(Number.isInteger(rank) && rank >= 1)) {
    throw new CombineError(`The rank is ${rank}.`, 'It must be a whole number from 1 on.', { rank });
  }
  const parts = new Map<string, { change: WeightChange; weight: number }[]>();
  for (const { lora, weight } of inputs) {
    for (const change of [...lora.modules.map(asWeightChange), ...lora.changes]) {
      const id = `${change.target} ${change.module}`;
      parts.set(id, [...(parts.get(id) ?? []), { change, weight }]);
    }
  }
  const modules: LoraModule[] = [];
  const changes: WeightChange[] = [];
  const layers: LayerError[] = [];
  let [lost, total] = [0, 0];
  for (const list of parts.values()) {
    yield layers.length / parts.size;
    const layer = combineLayer(list, rank);
    lost += layer.lost;
    total += layer.total;
    layers.push({ module: layer.module.module, ranks: layer.ranks, error: Math.sqrt(layer.lost / (layer.total || 1)) });
    if (layer.bias) {
      changes.push({ ...asWeightChange(layer.module), bias: layer.bias });
    } else modules.push(layer.module);
  }
  return { lora: { modules, changes }, layers, error: Math.sqrt(lost / (total || 1)) };
}

function combineLayer(
  list: readonly { readonly change: WeightChange; readonly weight: number }[],
  rank: number | null,
): { module: LoraModule; ranks: [number, number]; bias: Float32Array | null; lost: number; total: number } {
  const { module, target, inFeatures, outFeatures, kernel } = list[0]!.change;
  let bias: Float32Array | null = null;
  const stacked: Approximation[] = [];
  for (const { change, weight } of list) {
    stacked.push(scaledProduct(change, weight, rank));
    if (!change.bias) continue;
    bias ??= new Float32Array(outFeatures);
    for (let i = 0; i < outFeatures; i++) bias[i]! += weight * change.bias[i]!;
  }
  const whole = sideBySide(
    stacked.map(({ product }) => product),
    outFeatures,
  );
  const missing = stacked.reduce((sum, { lost }) => sum + lost, 0);
  const reduced = rank !== null && whole.rank > rank ? truncate(whole, outFeatures, rank) : null;
  const { a, b, rank: after } = reduced?.product ?? whole;
  const layer = { module, target, inFeatures, outFeatures, ...(kernel ? { kernel } : {}) };
  const lost = missing + (reduced?.lost ?? 0);
  return {
    module: { ...layer, down: b, up: a, rank: after, alpha: after },
    ranks: [whole.rank, after],
    bias,
    lost,
    total: squaredNorm(whole, outFeatures) + missing,
  };
}

/** weight * scale * delta as a product of two factors: exact where it has small ones. */
function scaledProduct(change: WeightChange, weight: number, rank: number | null): Approximation {
  const { delta, scale, magnitude, outFeatures, module } = change;
  if (magnitude) {
    throw new CombineError(
      `${module} is a DoRA: what it does depends on the model's weights, so it is no sum of low-rank pairs.`,
      'Bake it into a model instead.',
      { module },
    );
  }
  const factor = weight * scale;
  const scaled = ({ a, b, rank: own }: Product): Product => ({ a: a.map((value) => value * factor), b, rank: own });
  if (delta === null) return { product: { a: new Float32Array(0), b: new Float32Array(0), rank: 0 }, lost: 0 };
  if (delta.kind === 'product') return { product: scaled(delta.product), lost: 0 };
  if (delta.kind === 'hadamard') {
    const product = columnwise(delta.first, delta.second, outFeatures);
    const columns = product.b.length / product.rank;
    if (product.rank <= Math.min(outFeatures, columns)) return { product: scaled(product), lost: 0 };
  }
  if (rank === null) {
    throw new CombineError(
      `${module} is a change of full rank, which is no sum of low-rank pairs.`,
      'Say to which rank it should be brought.',
      { module },
    );
  }
  const { bias: _bias, ...plain } = change;
  return approximate({ ...plain, scale: factor }, rank);
}

/** (a1 b1) times (a2 b2), number by number, as one product of rank r1 * r2: the Khatri-Rao products of their factors. */
function columnwise(first: Product, second: Product, rows: number): Product {
  const rank = first.rank * second.rank;
  const columns = first.b.length / first.rank;
  const a = new Float32Array(rows * rank);
  const b = new Float32Array(rank * columns);
  for (let i = 0; i < first.rank; i++) {
    for (let j = 0; j < second.rank; j++) {
      const at = i * second.rank + j;
      for (let o = 0; o < rows; o++) a[o * rank + at] = first.a[o * first.rank + i]! * second.a[o * second.rank + j]!;
      for (let n = 0; n < columns; n++) b[at * columns + n] = first.b[i * columns + n]! * second.b[j * columns + n]!;
    }
  }
  return { a, b, rank };
}

/** A change of full rank by its strongest directions, `rank` and a few more. */
function approximate(change: WeightChange, rank: number): Approximation {
  const { outFeatures: rows, module } = change;
  const dense = denseChange(change);
  const columns = dense.length / rows;
  const whole = matrix(rows, columns, dense);
  const back = transposed(whole);
  const count = Math.min(rank + oversampling, rows, columns);
  const start = new TorchGenerator(deriveSeed(0, 'range', module)).rand(columns * count).map((u) => u - 0.5);
  let { q } = qr(matmul(whole, matrix(columns, count, start)));
  for (let i = 0; i < powerIterations; i++) ({ q } = qr(matmul(whole, qr(matmul(back, q)).q)));
  const rest = matmul(transposed(q), whole);
  const sum = (values: Float64Array): number => values.reduce((total, value) => total + value * value, 0);
  return {
    product: { a: Float32Array.from(q.values), b: Float32Array.from(rest.values), rank: count },
    lost: Math.max(0, sum(whole.values) - sum(rest.values)),
  };
}

function sideBySide(products: readonly Product[], rows: number): Product {
  if (products.length === 1) return products[0]!;
  const rank = products.reduce((sum, product) => sum + product.rank, 0);
  const columns = Math.max(0, ...products.map(({ b, rank: own }) => (own === 0 ? 0 : b.length / own)));
  const a = new Float32Array(rows * rank);
  const b = new Float32Array(rank * columns);
  let at = 0;
  for (const product of products) {
    for (let o = 0; o < rows; o++) {
      a.set(product.a.subarray(o * product.rank, (o + 1) * product.rank), o * rank + at);
    }
    b.set(product.b, at * columns);
    at += product.rank;
  }
  return { a, b, rank };
}

function factorise({ a, b, rank }: Product, rows: number): { q: Matrix; p: Matrix; core: Matrix } {
  const up = qr(matrix(rows, rank, a));
  const down = qr(transposed(matrix(rank, b.length / rank, b)));
  return { q: up.q, p: down.q, core: matmul(up.r, transposed(down.r)) };
}

/** The best product of `rank` (Eckart-Young), its weight shared out evenly among both factors. */
function truncate(product: Product, rows: number, rank: number): Approximation {
  const { q, p, core } = factorise(product, rows);
  const { u, s, v } = svd(core);
  const roots = s.map(Math.sqrt).subarray(0, rank);
  const firstColumns = (m: Matrix): Matrix => {
    const values = new Float64Array(m.rows * rank);
    for (let r = 0; r < m.rows; r++)
      for (let c = 0; c < rank; c++) values[r * rank + c] = m.values[r * m.columns + c]! * roots[c]!;
    return { rows: m.rows, columns: rank, values };
  };
  const a = matmul(q, firstColumns(u));
  const b = transposed(matmul(p, firstColumns(v)));
  return {
    product: { a: Float32Array.from(a.values), b: Float32Array.from(b.values), rank },
    lost: s.subarray(rank).reduce((sum, value) => sum + value * value, 0),
  };
}

/** |a b|², from the small matrices aᵀa and b bᵀ. */
export function squaredNorm({ a, b, rank }: Product, rows: number): number {
  if (rank === 0) return 0;
  const up = matrix(rows, rank, a);
  const down = matrix(rank, b.length / rank, b);
  const left = matmul(transposed(up), up);
  const right = matmul(down, transposed(down));
  return left.values.reduce((sum, value, i) => sum + value * right.values[i]!, 0);
}

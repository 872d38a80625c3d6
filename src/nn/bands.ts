/**
 * Pictures too large for one GPU binding, or for the memory that is left: a picture [N, H, W, C] as bands of rows, one tensor each. What
 * looks at neighbours gets their rows too, and norms count all bands together, so the numbers are those of the picture in one piece.
 *
 * An op takes its bands over: each is freed as soon as no other band needs it, so that input and output together hardly take more than
 * the larger of them. For inference only.
 */
import {
  concatRows,
  groupNormGiven,
  groupNormStatistics,
  sliceRows,
  tidy,
  trimMemory,
  type Tensor,
} from '../gpu/ops.ts';
import type { Conv2d } from './conv2d.ts';
import type { GroupNorm } from './norms.ts';

/** From top to bottom. */
export type Bands = readonly Tensor[];

/** Rows of neighbours, or of zeros where the picture ends. */
export interface Halo {
  readonly top: number;
  readonly bottom: number;
}

/** Cuts x [N, H, W, C] into bands of so many rows, the last as high as is left. Takes x over. */
export function cutBands(x: Tensor, rows: number): Bands {
  const height = x.shape[1]!;
  if (height <= rows) return [x];
  const bands: Tensor[] = [];
  for (let y = 0; y < height; y += rows) bands.push(sliceRows(x, y, Math.min(rows, height - y)));
  x.dispose();
  return bands;
}

/** The picture in one piece again. Takes the bands over. */
export function joinBands(bands: Bands): Tensor {
  if (bands.length === 1) return bands[0]!;
  const x = concatRows(bands);
  for (const band of bands) band.dispose();
  return x;
}

/**
 * `f` of every band: of the band with the rows of `halo` that its neighbours have, and how many rows of zeros are missing there. Bands are
 * freed on the way unless `lend` is set.
 */
export function mapBands(
  bands: Bands,
  halo: Halo,
  f: (rows: Tensor, missing: Halo, index: number) => Tensor,
  { lend = false }: { readonly lend?: boolean } = {},
): Bands {
  const results: Tensor[] = [];
  bands.forEach((band, i) => {
    const [above, below] = [bands[i - 1], bands[i + 1]];
    results.push(
      tidy(() => {
        const parts = [band];
        if (above && halo.top > 0) parts.unshift(sliceRows(above, above.shape[1]! - halo.top, halo.top));
        if (below && halo.bottom > 0) parts.push(sliceRows(below, 0, halo.bottom));
        const missing = { top: above ? 0 : halo.top, bottom: below ? 0 : halo.bottom };
        return f(parts.length === 1 ? band : concatRows(parts), missing, i);
      }),
    );
    if (!lend) above?.dispose();
    // Bands of each layer and each place have sizes of their own, so what is free now is of no use later.
    if (bands.length > 1) trimMemory();
  });
  if (!lend) bands.at(-1)?.dispose();
  return results;
}

/** What a 3x3 convolution sees around a band. */
const around: Halo = { top: 1, bottom: 1 };

/**
 * GroupNorm, SiLU and a 3x3 convolution, the widest in a VAE: bands are normalised one by one, just before they are convolved.
 * `residual` is added to the result, band by band, and taken over; `onBand` sees each band before it is freed.
 */
export function normAndConvolve(
  bands: Bands,
  norm: GroupNorm,
  conv: Conv2d,
  { residual, lend, onBand }: { residual?: Bands; lend?: boolean; onBand?: (band: Tensor) => void } = {},
): Bands {
  const { groups, epsilon } = norm;
  // One band is the picture: its norm needs no statistics beforehand.
  const statistics = bands.length === 1 ? null : groupNormStatistics(bands, norm);
  const result = mapBands(
    bands,
    around,
    (rows, missing, i) => {
      onBand?.(bands[i]!);
      const normed = statistics
        ? groupNormGiven(rows, statistics, norm.gamma, norm.beta, { groups, epsilon, silu: true })
        : norm.forward(rows, { silu: true });
      const added = residual?.[i];
      const y = conv.forward(normed, { padding: paddingOf(missing), ...(added ? { residual: added } : {}) });
      added?.dispose();
      return y;
    },
    { lend: lend ?? false },
  );
  statistics?.dispose();
  return result;
}

/** A 3x3 convolution. */
export function convolveBands(bands: Bands, conv: Conv2d): Bands {
  return mapBands(bands, around, (rows, missing) => conv.forward(rows, { padding: paddingOf(missing) }));
}

function paddingOf({ top, bottom }: Halo): [top: number, left: number, bottom: number, right: number] {
  return [top, 1, bottom, 1];
}

/**
 * Running a size-changing network over overlapping tiles and blending them, as diffusers' `tiled_encode` and `tiled_decode`
 * do: a quarter of each tile overlaps the next and fades linearly. Used where it is asked for, as it gives other numbers than the whole.
 */

/** n images of height x width x channels, NHWC. */
export interface Plane {
  readonly data: Float32Array;
  readonly n: number;
  readonly height: number;
  readonly width: number;
  readonly channels: number;
}

const overlap = 0.25;

/**
 * Maps `input` through `run`, which turns a tile of sides (h, w) into one of (h * factor, w * factor) with `outChannels`.
 * If both sides are at most `side`, that is one call on the whole.
 */
export async function inTiles(
  input: Plane,
  side: number,
  factor: number,
  outChannels: number,
  run: (tile: Plane) => Promise<Float32Array>,
): Promise<Plane> {
  const { n } = input;
  const height = Math.round(input.height * factor);
  const width = Math.round(input.width * factor);
  if (input.height <= side && input.width <= side) {
    return { data: await run(input), n, height, width, channels: outChannels };
  }
  const stride = Math.floor(side * (1 - overlap));
  const outSide = Math.round(side * factor);
  const blend = Math.floor(outSide * overlap);
  const keep = outSide - blend;
  const out: Plane = {
    data: new Float32Array(n * height * width * outChannels),
    n,
    height,
    width,
    channels: outChannels,
  };
  let above: Plane[] = [];
  for (let y = 0, row = 0; y < input.height; y += stride, row++) {
    const current: Plane[] = [];
    for (let x = 0, column = 0; x < input.width; x += stride, column++) {
      const cut = crop(input, y, x, side);
      const tile: Plane = {
        data: await run(cut),
        n,
        height: Math.round(cut.height * factor),
        width: Math.round(cut.width * factor),
        channels: outChannels,
      };
      const over = above[column];
      if (over) fade(over, tile, blend, 'down');
      const left = current[column - 1];
      if (left) fade(left, tile, blend, 'right');
      current.push(tile);
      paste(tile, out, row * keep, column * keep, keep);
    }
    above = current;
  }
  return out;
}

function crop(plane: Plane, y: number, x: number, side: number): Plane {
  const height = Math.min(side, plane.height - y);
  const width = Math.min(side, plane.width - x);
  const { n, channels } = plane;
  const data = new Float32Array(n * height * width * channels);
  for (let i = 0; i < n; i++) {
    for (let r = 0; r < height; r++) {
      const from = ((i * plane.height + y + r) * plane.width + x) * channels;
      data.set(plane.data.subarray(from, from + width * channels), (i * height + r) * width * channels);
    }
  }
  return { data, n, height, width, channels };
}

/** Fades `before`'s last `extent` rows (or columns) into `tile`'s first ones, in place. */
function fade(before: Plane, tile: Plane, extent: number, direction: 'down' | 'right'): void {
  const down = direction === 'down';
  const length = Math.min(extent, down ? before.height : before.width, down ? tile.height : tile.width);
  const across = Math.min(down ? before.width : before.height, down ? tile.width : tile.height);
  const { channels } = tile;
  for (let i = 0; i < tile.n; i++) {
    for (let k = 0; k < length; k++) {
      const weight = k / length;
      for (let j = 0; j < across; j++) {
        const from = down
          ? ((i * before.height + before.height - length + k) * before.width + j) * channels
          : ((i * before.height + j) * before.width + before.width - length + k) * channels;
        const to = down
          ? ((i * tile.height + k) * tile.width + j) * channels
          : ((i * tile.height + j) * tile.width + k) * channels;
        for (let c = 0; c < channels; c++) {
          tile.data[to + c] = before.data[from + c]! * (1 - weight) + tile.data[to + c]! * weight;
        }
      }
    }
  }
}

function paste(tile: Plane, out: Plane, y: number, x: number, keep: number): void {
  const height = Math.min(keep, tile.height, out.height - y);
  const width = Math.min(keep, tile.width, out.width - x);
  if (height <= 0 || width <= 0) return;
  const { channels } = out;
  for (let i = 0; i < out.n; i++) {
    for (let r = 0; r < height; r++) {
      const from = (i * tile.height + r) * tile.width * channels;
      out.data.set(
        tile.data.subarray(from, from + width * channels),
        ((i * out.height + y + r) * out.width + x) * channels,
      );
    }
  }
}

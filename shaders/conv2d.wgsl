// Square convolution as an implicit matrix product over NHWC, and its gradient towards the input where BACKWARD; needs tile.wgsl.
// Frozen weights [kernel, kernel, in, out], both channel counts padded to multiples of 4 with zeros.
// Forward:  y[pixel, out] = bias + time[image, out] + residual + sum over (tap, in) of x[pixel * stride - padding + tap, in] * w.
// Backward: dx[pixel, in] = sum over (tap, out) of dy[(pixel + padding - tap) / stride, out] * w, where that divides. Pixels of
// one parity (stride x stride of them: grid z, with the splits) use the same taps, so no tap is multiplied in vain.
// `source` is what is read, x or dy; the other image is the output. Output channels here must be a multiple of 4.
struct Params {
  images: u32, height: u32, width: u32, channels: u32,
  source_height: u32, source_width: u32, source_channels: u32,
  kernel: u32, stride: u32, top: u32, left: u32,
  has_bias: u32, has_time: u32, has_residual: u32, splits: u32,
};
@group(0) @binding(0) var<storage, read_write> y: array<vec4f>; // [splits, images, ...]: see kernels/splitDepth.ts
@group(0) @binding(1) var<storage, read> source: array<vec4f>;
@group(0) @binding(2) var<storage, read> source_scalars: array<f32>; // instead of `source` where not ALIGNED: the channels are no multiple of 4
@group(0) @binding(3) var<storage, read> w: array<weight_word>;
@group(0) @binding(4) var<storage, read> bias: array<vec4f>;
@group(0) @binding(5) var<storage, read> time: array<vec4f>;
@group(0) @binding(6) var<storage, read> residual: array<vec4f>;
@group(0) @binding(7) var<uniform> params: Params;

/// The pixels of one parity: position (y, x) of the first, distance to the next, and how many; the taps they use; and the
/// source pixel of pixel 0 and tap 0. Forward the source moves on with the tap, backward it moves back.
struct Parity { first: vec2u, step: u32, size: vec2u, first_tap: vec2u, tap_step: u32, taps: vec2u, origin: vec2i };
var<private> parity: Parity;
var<private> tile_origin: vec2u; // row, column / 4
var<private> tile_split: u32;

fn parity_of(index: u32) -> Parity {
  let padding = vec2u(params.top, params.left);
  let size = vec2u(params.height, params.width);
  if (BACKWARD) {
    let stride = params.stride;
    let first = vec2u(index / stride, index % stride);
    let first_tap = (first + padding) % stride;
    let taps = (max(vec2u(params.kernel), first_tap) - first_tap + stride - 1u) / stride;
    return Parity(first, stride, (size - first + stride - 1u) / stride, first_tap, stride, taps, vec2i((first + padding - first_tap) / stride));
  }
  return Parity(vec2u(), 1u, size, vec2u(), 1u, vec2u(params.kernel), -vec2i(padding));
}

/// Image, y and x of the source pixel of a row at tap 0; beyond the last row, those of the last, whose sums are not written.
fn source_pixel(row: u32) -> vec3i {
  let per_image = parity.size.x * parity.size.y;
  let known = min(row, params.images * per_image - 1u);
  let position = vec2i(vec2u(known % per_image / parity.size.y, known % parity.size.y));
  let source_step = select(i32(params.stride), 1, BACKWARD);
  return vec3i(i32(known / per_image), position * source_step + parity.origin);
}

/// Four channels of a source pixel; zero in the padding.
fn source_quad(pixel: vec3i, shift: vec2i, c4: u32) -> vec4f {
  let last = vec2i(vec2u(params.source_height, params.source_width)) - 1;
  let wanted = pixel.yz + shift;
  let at = clamp(wanted, vec2i(), last);
  let index = u32((pixel.x * (last.x + 1) + at.x) * (last.y + 1) + at.y);
  var quad: vec4f;
  if (ALIGNED) {
    quad = source[index * (params.source_channels / 4u) + c4];
  } else {
    // The weights of the channels beyond the last are zero, but what is read there need not be finite.
    let c = c4 * 4u + vec4u(0u, 1u, 2u, 3u);
    let i = index * params.source_channels + min(c, vec4u(params.source_channels - 1u));
    quad = select(vec4f(), vec4f(source_scalars[i.x], source_scalars[i.y], source_scalars[i.z], source_scalars[i.w]), c < vec4u(params.source_channels));
  }
  return select(vec4f(), quad, all(wanted == at));
}

fn tile_output(row: u32, quad: u32, sum: vec4f) {
  let m = tile_origin.x + row;
  let n4 = tile_origin.y + quad;
  let width4 = params.channels / 4u;
  let per_image = parity.size.x * parity.size.y;
  if (m >= params.images * per_image || n4 >= width4) { return; }
  let image = m / per_image;
  let position = vec2u(m % per_image / parity.size.y, m % parity.size.y) * parity.step + parity.first;
  let at = ((image * params.height + position.x) * params.width + position.y) * width4 + n4;
  var value = sum;
  if (params.has_bias != 0u) { value += bias[n4]; }
  if (params.has_time != 0u) { value += time[image * width4 + n4]; }
  if (params.has_residual != 0u) { value += residual[at]; }
  y[tile_split * params.images * params.height * params.width * width4 + at] = value;
}

@compute @workgroup_size(TILE_THREADS)
fn main(@builtin(workgroup_id) tile: vec3u, @builtin(local_invocation_index) index: u32) {
  let chosen = parity_of(tile.z / params.splits); // `parity` again, but known to be the same for the whole workgroup
  parity = chosen;
  // Other parities may have more rows than this one.
  if (tile.y * TILE_ROWS >= params.images * chosen.size.x * chosen.size.y) { return; }
  tile_origin = vec2u(tile.y * TILE_ROWS, tile.x * TILE_COLUMNS / 4u);
  tile_split = tile.z % params.splits;
  let width4 = params.channels / 4u;
  let depth4 = (params.source_channels + 3u) / 4u;
  let quads = chosen.taps.x * chosen.taps.y * depth4;
  // Each invocation loads four values of k of four rows; k runs over the taps, and over the channels of each.
  let k_quad = index % 4u;
  var pixels: array<vec3i, 4u * TILE_LEFT_LOADS>;
  for (var load = 0u; load < TILE_LEFT_LOADS; load++) {
    let m = tile_origin.x + tile_quad(index, load) * 4u;
    pixels[4u * load] = source_pixel(m);
    pixels[4u * load + 1u] = source_pixel(m + 1u);
    pixels[4u * load + 2u] = source_pixel(m + 2u);
    pixels[4u * load + 3u] = source_pixel(m + 3u);
  }
  let steps = (quads + TILE_DEPTH / 4u - 1u) / (TILE_DEPTH / 4u);
  let share = (steps + params.splits - 1u) / params.splits * (TILE_DEPTH / 4u);
  let end = min((tile.z % params.splits + 1u) * share, quads);
  var held: tile_held;
  for (var first = tile.z % params.splits * share; first < end; first += TILE_DEPTH / 4u) {
    let k4 = min(first + k_quad, quads - 1u); // beyond the last, nothing is multiplied
    let tap_index = k4 / depth4;
    let c4 = k4 % depth4;
    let tap = vec2u(tap_index / chosen.taps.y, tap_index % chosen.taps.y);
    let shift = select(vec2i(tap), -vec2i(tap), BACKWARD);
    for (var load = 0u; load < TILE_LEFT_LOADS; load++) {
      let quad = tile_quad(index, load);
      if (tile_has_rows(quad)) {
        tile_put_left(k_quad, quad, source_quad(pixels[4u * load], shift, c4), source_quad(pixels[4u * load + 1u], shift, c4),
          source_quad(pixels[4u * load + 2u], shift, c4), source_quad(pixels[4u * load + 3u], shift, c4));
      }
    }
    if (BACKWARD) {
      // The weights' rows are this kernel's columns.
      let weight_tap = chosen.first_tap + tap * chosen.tap_step;
      for (var load = 0u; load < TILE_RIGHT_LOADS; load++) {
        let quad = tile_quad(index, load);
        let n = min(tile.x * TILE_COLUMNS + quad * 4u, params.channels - 4u);
        let at = ((weight_tap.x * params.kernel + weight_tap.y) * params.channels + n) * depth4 + c4;
        if (tile_has_columns(quad)) {
          tile_put_right(k_quad, quad, weight_quad(at), weight_quad(at + depth4),
            weight_quad(at + 2u * depth4), weight_quad(at + 3u * depth4));
        }
      }
    } else {
      let n4 = min(tile_origin.y + index % TILE_COLUMN_QUADS, width4 - 1u);
      for (var i = index; i < TILE_DEPTH * TILE_COLUMN_QUADS; i += TILE_THREADS) {
        let k = min(first * 4u + i / TILE_COLUMN_QUADS, quads * 4u - 1u);
        tile_put_right_row(i, weight_quad(k * width4 + n4));
      }
    }
    workgroupBarrier();
    tile_multiply(&held, index, min(TILE_DEPTH, (quads - first) * 4u));
    workgroupBarrier();
  }
  tile_finish(&held, index);
}

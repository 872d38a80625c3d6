// Square convolution as an implicit matrix product over NHWC, and its gradient towards the input where BACKWARD; needs tile.wgsl.
// Weights f16 [kernel, kernel, in, out], both channel counts padded to multiples of 4 with zeros.
// Forward:  y[pixel, out] = bias + time[image, out] + residual + sum over (tap, in) of x[pixel * stride - padding + tap, in] * w.
// Backward: dx[pixel, in] = sum over (tap, out) of dy[(pixel + padding - tap) / stride, out] * w, where that divides. Pixels of
// one parity (stride x stride of them: grid z) use the same taps, so no tap is multiplied in vain.
// `source` is what is read, x or dy; the other image is the output. Output channels here must be a multiple of 4.
struct Params {
  images: u32, height: u32, width: u32, channels: u32,
  source_height: u32, source_width: u32, source_channels: u32,
  kernel: u32, stride: u32, top: u32, left: u32,
  has_bias: u32, has_time: u32, has_residual: u32,
};
@group(0) @binding(0) var<storage, read_write> y: array<vec4f>;
@group(0) @binding(1) var<storage, read> source: array<vec4f>;
@group(0) @binding(2) var<storage, read> source_scalars: array<f32>; // instead of `source`, for odd channel counts
@group(0) @binding(3) var<storage, read> w: array<weight4>;
@group(0) @binding(4) var<storage, read> bias: array<vec4f>;
@group(0) @binding(5) var<storage, read> time: array<vec4f>;
@group(0) @binding(6) var<storage, read> residual: array<vec4f>;
@group(0) @binding(7) var<uniform> params: Params;

/// The pixels of one parity: position (y, x) of the first, distance to the next, and how many; the taps they use; and the
/// source pixel of pixel 0 and tap 0. Forward the source moves on with the tap, backward it moves back.
struct Parity { first: vec2u, step: u32, size: vec2u, first_tap: vec2u, tap_step: u32, taps: vec2u, origin: vec2i };
var<private> parity: Parity;
var<private> tile_origin: vec2u; // row, column / 4

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

/// Image, y and x of the source pixel of a row at tap 0; image -1 beyond the last row.
fn source_pixel(row: u32) -> vec3i {
  let per_image = parity.size.x * parity.size.y;
  if (row >= params.images * per_image) { return vec3i(-1); }
  let position = vec2i(vec2u(row % per_image / parity.size.y, row % parity.size.y));
  let source_step = select(i32(params.stride), 1, BACKWARD);
  return vec3i(i32(row / per_image), position * source_step + parity.origin);
}

fn source_quad(pixel: vec3i, shift: vec2i, c4: u32) -> vec4f {
  let at = pixel.yz + shift;
  if (pixel.x < 0 || any(at < vec2i()) || any(at >= vec2i(vec2u(params.source_height, params.source_width)))) { return vec4f(); }
  let index = (u32(pixel.x) * params.source_height + u32(at.x)) * params.source_width + u32(at.y);
  if (params.source_channels % 4u == 0u) { return source[index * (params.source_channels / 4u) + c4]; }
  let c = c4 * 4u;
  let base = index * params.source_channels + c;
  let left = params.source_channels - c;
  var quad = vec4f(source_scalars[base], 0.0, 0.0, 0.0);
  if (left > 1u) { quad.y = source_scalars[base + 1u]; }
  if (left > 2u) { quad.z = source_scalars[base + 2u]; }
  if (left > 3u) { quad.w = source_scalars[base + 3u]; }
  return quad;
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
  y[at] = value;
}

@compute @workgroup_size(8, 8)
fn main(@builtin(workgroup_id) tile: vec3u, @builtin(local_invocation_id) local: vec3u, @builtin(local_invocation_index) index: u32) {
  let chosen = parity_of(tile.z); // `parity` again, but known to be the same for the whole workgroup
  parity = chosen;
  // Other parities may have more rows than this one.
  if (tile.y * TILE >= params.images * chosen.size.x * chosen.size.y) { return; }
  tile_origin = vec2u(tile.y * TILE, tile.x * TILE / 4u);
  let width4 = params.channels / 4u;
  let depth4 = (params.source_channels + 3u) / 4u;
  let quads = chosen.taps.x * chosen.taps.y * depth4;
  // Each invocation loads four values of k of four rows; k runs over the taps, and over the channels of each.
  let k_quad = index & 3u;
  let quad = index >> 2u;
  let m = tile.y * TILE + quad * 4u;
  let p0 = source_pixel(m);
  let p1 = source_pixel(m + 1u);
  let p2 = source_pixel(m + 2u);
  let p3 = source_pixel(m + 3u);
  for (var first = 0u; first < quads; first += TILE_DEPTH / 4u) {
    let k4 = first + k_quad;
    let tap_index = k4 / depth4;
    let c4 = k4 % depth4;
    let tap = vec2u(tap_index / chosen.taps.y, tap_index % chosen.taps.y);
    let shift = select(vec2i(tap), -vec2i(tap), BACKWARD);
    if (k4 < quads) {
      tile_put_left(k_quad, quad, source_quad(p0, shift, c4), source_quad(p1, shift, c4), source_quad(p2, shift, c4), source_quad(p3, shift, c4));
    }
    if (BACKWARD) {
      if (k4 < quads) {
        // The weights' rows are this kernel's columns.
        let n = tile.x * TILE + quad * 4u;
        let weight_tap = chosen.first_tap + tap * chosen.tap_step;
        let row = (weight_tap.x * params.kernel + weight_tap.y) * params.channels + n;
        if (n < params.channels) {
          tile_put_right(k_quad, quad, weight4_to_f32(w[row * depth4 + c4]), weight4_to_f32(w[(row + 1u) * depth4 + c4]),
            weight4_to_f32(w[(row + 2u) * depth4 + c4]), weight4_to_f32(w[(row + 3u) * depth4 + c4]));
        }
      }
    } else {
      let n4 = tile_origin.y + (index & 15u);
      for (var i = index; i < 256u; i += 64u) {
        let k = first * 4u + (i >> 4u);
        if (k < quads * 4u && n4 < width4) { tile_right[i] = weight4_to_f32(w[k * width4 + n4]); }
      }
    }
    workgroupBarrier();
    tile_multiply(local.xy, min(TILE_DEPTH, (quads - first) * 4u));
    workgroupBarrier();
  }
  tile_finish(local.xy);
}

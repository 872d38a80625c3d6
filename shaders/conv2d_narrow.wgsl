// The same convolution as conv2d.wgsl, and its gradient where BACKWARD, for outputs of few channels or of a number that is no
// multiple of 4: one invocation makes four channels of one pixel, by itself.
struct Params {
  images: u32, height: u32, width: u32, channels: u32,
  source_height: u32, source_width: u32, source_channels: u32,
  kernel: u32, stride: u32, top: u32, left: u32,
  has_bias: u32, has_time: u32, has_residual: u32,
};
@group(0) @binding(0) var<storage, read_write> y: array<f32>;
@group(0) @binding(1) var<storage, read> source: array<vec4f>;
@group(0) @binding(2) var<storage, read> source_scalars: array<f32>; // instead of `source`, for odd channel counts
@group(0) @binding(3) var<storage, read> w: array<weight_word>;
@group(0) @binding(4) var<storage, read> bias: array<f32>;
@group(0) @binding(5) var<storage, read> time: array<f32>;
@group(0) @binding(6) var<storage, read> residual: array<f32>;
@group(0) @binding(7) var<uniform> params: Params;

fn source_quad(index: u32, c4: u32) -> vec4f {
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

/// The sum over the channels of one source pixel, seen through one tap.
fn tap_sum(index: u32, tap: u32, n4: u32) -> vec4f {
  let width4 = (params.channels + 3u) / 4u;
  let depth4 = (params.source_channels + 3u) / 4u;
  var sum = vec4f();
  for (var c4 = 0u; c4 < depth4; c4++) {
    let v = source_quad(index, c4);
    if (BACKWARD) {
      let at = (tap * width4 + n4) * 4u * depth4 + c4;
      sum += vec4f(dot(v, weight_quad(at)), dot(v, weight_quad(at + depth4)),
        dot(v, weight_quad(at + 2u * depth4)), dot(v, weight_quad(at + 3u * depth4)));
    } else {
      let at = (tap * depth4 + c4) * 4u * width4 + n4;
      sum += v.x * weight_quad(at) + v.y * weight_quad(at + width4) +
        v.z * weight_quad(at + 2u * width4) + v.w * weight_quad(at + 3u * width4);
    }
  }
  return sum;
}

fn put(at: u32, channel: u32, image: u32, sum: f32) {
  if (channel >= params.channels) { return; }
  var value = sum;
  if (params.has_bias != 0u) { value += bias[channel]; }
  if (params.has_time != 0u) { value += time[image * params.channels + channel]; }
  if (params.has_residual != 0u) { value += residual[at + channel]; }
  y[at + channel] = value;
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let pixel = id.x;
  let n4 = id.y;
  let per_image = params.height * params.width;
  if (pixel >= params.images * per_image) { return; }
  let image = pixel / per_image;
  let position = vec2i(vec2u(pixel % per_image / params.width, pixel % params.width));
  let padding = vec2i(vec2u(params.top, params.left));
  let stride = i32(params.stride);
  var sum = vec4f();
  for (var tap = 0u; tap < params.kernel * params.kernel; tap++) {
    let offset = vec2i(vec2u(tap / params.kernel, tap % params.kernel));
    var at = position * stride - padding + offset;
    if (BACKWARD) {
      let distance = position + padding - offset;
      if (any(distance < vec2i()) || any(distance % stride != vec2i())) { continue; }
      at = distance / stride;
    }
    if (any(at < vec2i()) || any(at >= vec2i(vec2u(params.source_height, params.source_width)))) { continue; }
    sum += tap_sum((image * params.source_height + u32(at.x)) * params.source_width + u32(at.y), tap, n4);
  }
  let at = pixel * params.channels;
  let channel = n4 * 4u;
  put(at, channel, image, sum.x);
  put(at, channel + 1u, image, sum.y);
  put(at, channel + 2u, image, sum.z);
  put(at, channel + 3u, image, sum.w);
}

// dx[pixel, channel] = sum over (tap, rank) of dt[(pixel + padding - tap) / stride, rank] * A[rank, tap, channel], where that divides: the
// gradient of lora_conv_down.wgsl towards x. dt [images, out_height, out_width, rank]; one invocation makes four channels of a pixel.
struct Params {
  images: u32, height: u32, width: u32, channels4: u32, out_height: u32, out_width: u32,
  kernel: u32, stride: u32, top: u32, left: u32, rank: u32,
};
@group(0) @binding(0) var<storage, read_write> dx: array<vec4f>;
@group(0) @binding(1) var<storage, read> dt: array<f32>;
@group(0) @binding(2) var<storage, read> a: array<vec4f>;
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) grid: vec3u) {
  let i = id.x + id.y * grid.x * 64u;
  let per_image = params.height * params.width;
  if (i >= params.images * per_image * params.channels4) { return; }
  let pixel = i / params.channels4;
  let c4 = i % params.channels4;
  let image = pixel / per_image;
  let place = vec2i(vec2u(pixel % per_image / params.width, pixel % params.width) + vec2u(params.top, params.left));
  let stride = i32(params.stride);
  let taps = params.kernel * params.kernel;
  var sum = vec4f();
  for (var tap = 0u; tap < taps; tap++) {
    let distance = place - vec2i(vec2u(tap / params.kernel, tap % params.kernel));
    if (any(distance < vec2i()) || any(distance % stride != vec2i())) { continue; }
    let at = vec2u(distance / stride);
    if (at.x >= params.out_height || at.y >= params.out_width) { continue; }
    let t = ((image * params.out_height + at.x) * params.out_width + at.y) * params.rank;
    for (var r = 0u; r < params.rank; r++) { sum += dt[t + r] * a[(r * taps + tap) * params.channels4 + c4]; }
  }
  dx[i] = sum;
}

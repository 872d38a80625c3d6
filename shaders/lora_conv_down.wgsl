// t[pixel, rank] = scale * the convolution of x with A: the narrow activations of a LoRA on a convolution; needs patches.wgsl and dropout.wgsl.
// x [images, height, width, 4 channels4], A [rank, kernel, kernel, 4 channels4]. Multiplied by the factors of dropout.wgsl where DROPOUT.
// A workgroup makes 16 pixels x 4 QUADS ranks; 16 / QUADS invocations share the sum of each and add up in workgroup memory.
struct Params {
  images: u32, height: u32, width: u32, channels4: u32, out_height: u32, out_width: u32,
  kernel: u32, stride: u32, top: u32, left: u32, rank: u32,
  salt: u32, sample_rows: u32, module_ranks: u32, network_chance: u32, rank_chance: u32, module_chance: u32, dropout_scale: f32,
};
@group(0) @binding(0) var<storage, read_write> t: array<f32>;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> a: array<vec4f>;
@group(0) @binding(3) var<storage, read> scale: array<f32>;
@group(0) @binding(4) var<storage, read> dropout_key: array<u32>;
@group(0) @binding(5) var<uniform> params: Params;

const SLICES: u32 = 16u / QUADS;
var<workgroup> parts: array<vec4f, 256>; // [pixel in quad][pixel quad, rank quad, slice]

fn x_quad(source: i32, c4: u32) -> vec4f {
  return select(vec4f(), x[u32(max(source, 0)) * params.channels4 + c4], source >= 0);
}

fn put(pixel: u32, rank: u32, sum: f32) {
  if (rank >= params.rank) { return; }
  var value = scale[rank] * sum;
  if (DROPOUT) { value *= dropout_factor(pixel, rank, params.rank); }
  t[pixel * params.rank + rank] = value;
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) tile: vec3u, @builtin(local_invocation_index) index: u32) {
  let slice = index % SLICES;
  let rank_quad = index / SLICES % QUADS;
  let pixel_quad = index / (SLICES * QUADS);
  let pixels = params.images * params.out_height * params.out_width;
  let taps = params.kernel * params.kernel;
  // Pixels and ranks beyond the end repeat the last one and are not written.
  let m = tile.y * 16u + pixel_quad * 4u;
  let m0 = min(m, pixels - 1u);
  let m1 = min(m + 1u, pixels - 1u);
  let m2 = min(m + 2u, pixels - 1u);
  let m3 = min(m + 3u, pixels - 1u);
  let first_rank = tile.x * 4u * QUADS;
  let r = first_rank + rank_quad * 4u;
  let row4 = taps * params.channels4;
  let a0 = min(r, params.rank - 1u) * row4;
  let a1 = min(r + 1u, params.rank - 1u) * row4;
  let a2 = min(r + 2u, params.rank - 1u) * row4;
  let a3 = min(r + 3u, params.rank - 1u) * row4;
  var sum0 = vec4f();
  var sum1 = vec4f();
  var sum2 = vec4f();
  var sum3 = vec4f();
  for (var tap = 0u; tap < taps; tap++) {
    let s0 = tap_source(m0, tap);
    let s1 = tap_source(m1, tap);
    let s2 = tap_source(m2, tap);
    let s3 = tap_source(m3, tap);
    for (var c4 = slice; c4 < params.channels4; c4 += SLICES) {
      let k4 = tap * params.channels4 + c4;
      let d0 = a[a0 + k4];
      let d1 = a[a1 + k4];
      let d2 = a[a2 + k4];
      let d3 = a[a3 + k4];
      let v0 = x_quad(s0, c4);
      let v1 = x_quad(s1, c4);
      let v2 = x_quad(s2, c4);
      let v3 = x_quad(s3, c4);
      sum0 += vec4f(dot(v0, d0), dot(v0, d1), dot(v0, d2), dot(v0, d3));
      sum1 += vec4f(dot(v1, d0), dot(v1, d1), dot(v1, d2), dot(v1, d3));
      sum2 += vec4f(dot(v2, d0), dot(v2, d1), dot(v2, d2), dot(v2, d3));
      sum3 += vec4f(dot(v3, d0), dot(v3, d1), dot(v3, d2), dot(v3, d3));
    }
  }
  parts[index] = sum0;
  parts[64u + index] = sum1;
  parts[128u + index] = sum2;
  parts[192u + index] = sum3;
  workgroupBarrier();
  if (index >= 16u * QUADS) { return; }
  let row = index / QUADS;
  let quad = index % QUADS;
  var sum = vec4f();
  for (var s = 0u; s < SLICES; s++) {
    sum += parts[row % 4u * 64u + (row / 4u * QUADS + quad) * SLICES + s];
  }
  let pixel = tile.y * 16u + row;
  if (pixel >= pixels) { return; }
  let rank = first_rank + quad * 4u;
  put(pixel, rank, sum.x);
  put(pixel, rank + 1u, sum.y);
  put(pixel, rank + 2u, sum.z);
  put(pixel, rank + 3u, sum.w);
}

// dA[rank, tap, channel] = sum over pixels of dt[pixel, rank] * x[what the pixel sees through the tap, channel]; needs patches.wgsl.
// As lora_gradients.wgsl, with gathered rows: a workgroup makes 64 columns (tap, channel) x 4 ranks from one chunk of the pixels; with
// several chunks, `out` has a slab for each.
struct Params {
  images: u32, height: u32, width: u32, channels4: u32, out_height: u32, out_width: u32,
  kernel: u32, stride: u32, top: u32, left: u32, rank: u32, chunk: u32,
};
@group(0) @binding(0) var<storage, read_write> out: array<vec4f>;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> dt: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

var<workgroup> parts: array<vec4f, 256>; // [rank in quad][slice of the pixels][column quad]

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) tile: vec3u, @builtin(local_invocation_index) index: u32) {
  let columns4 = params.kernel * params.kernel * params.channels4;
  let slice = index >> 4u;
  // Columns and ranks beyond the end repeat the last one and are not written.
  let column4 = min(tile.x * 16u + (index & 15u), columns4 - 1u);
  let tap = column4 / params.channels4;
  let c4 = column4 % params.channels4;
  let last_rank = params.rank - 1u;
  let r = tile.y * 4u;
  let r0 = min(r, last_rank);
  let r1 = min(r + 1u, last_rank);
  let r2 = min(r + 2u, last_rank);
  let r3 = min(r + 3u, last_rank);
  let end = min((tile.z + 1u) * params.chunk, params.images * params.out_height * params.out_width);
  var sum0 = vec4f();
  var sum1 = vec4f();
  var sum2 = vec4f();
  var sum3 = vec4f();
  for (var pixel = tile.z * params.chunk + slice; pixel < end; pixel += 4u) {
    let source = tap_source(pixel, tap);
    if (source < 0) { continue; }
    let v = x[u32(source) * params.channels4 + c4];
    let at = pixel * params.rank;
    sum0 += v * dt[at + r0];
    sum1 += v * dt[at + r1];
    sum2 += v * dt[at + r2];
    sum3 += v * dt[at + r3];
  }
  parts[index] = sum0;
  parts[64u + index] = sum1;
  parts[128u + index] = sum2;
  parts[192u + index] = sum3;
  workgroupBarrier();
  let quad = index & 15u;
  let j = index >> 4u;
  let at = j * 64u + quad;
  let sum = parts[at] + parts[at + 16u] + parts[at + 32u] + parts[at + 48u];
  let rank = tile.y * 4u + j;
  let column = tile.x * 16u + quad;
  if (rank >= params.rank || column >= columns4) { return; }
  out[(tile.z * params.rank + rank) * columns4 + column] = sum;
}

// Second half of GroupNorm's gradient: merges the chunks' sums and writes
//   dx = scale * (g - mean(g) - xhat * mean(g * xhat)),   with g and xhat as in group_norm_backward_sums.wgsl,
// plus `addend` where ACCUMULATE.
struct Params {
  pixels: u32,   // P
  chunk: u32,    // pixels in a chunk
  chunks: u32,   // chunks in a sample
  columns4: u32, // C / 4
  groups: u32,   // in a sample
  columns: u32,  // vec4 columns in a block; columns * lanes <= THREADS
  lanes: u32,    // threads that share a column
  channels: u32, // in a group
  span: u32,     // pixels in a workgroup
};
@group(0) @binding(0) var<storage, read_write> dx: array<vec4f>;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> gamma: array<vec4f>;
@group(0) @binding(3) var<storage, read> beta: array<vec4f>;
@group(0) @binding(4) var<storage, read> statistics: array<vec2f>; // [N, groups], from group_norm.wgsl
@group(0) @binding(5) var<storage, read> dy: array<vec4f>;
@group(0) @binding(6) var<storage, read> partial: array<vec2f>; // [N, groups, chunks]
@group(0) @binding(7) var<storage, read> addend: array<vec4f>;
@group(0) @binding(8) var<uniform> params: Params;

const THREADS = 128u;

var<workgroup> merged: array<vec2f, 4 * THREADS>;

fn origin(sample: u32, channel: u32) -> f32 {
  let first = channel / params.channels * params.channels;
  return x[sample * params.pixels * params.columns4 + first / 4u][first % 4u];
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) id: vec3u, @builtin(local_invocation_index) thread: u32) {
  let sample = id.z;
  let columns = params.columns;
  let lanes = params.lanes;
  let channels = params.channels;
  let groups = columns * 4u / channels; // of the block
  for (var group = thread; group < groups; group += THREADS) {
    let first = (sample * params.groups + id.y * groups + group) * params.chunks;
    var sums = vec2f();
    for (var i = 0u; i < params.chunks; i++) { sums += partial[first + i]; }
    merged[group] = sums / (f32(params.pixels) * f32(channels));
  }
  workgroupBarrier();

  let column = thread % columns;
  let column4 = id.y * columns + column;
  let base = sample * params.pixels * params.columns4 + column4;
  var shift: vec4f;
  var mean: vec4f;
  var scale: vec4f;
  var mean_g: vec4f;
  var mean_gx: vec4f;
  for (var i = 0u; i < 4u; i++) {
    let stats = statistics[sample * params.groups + (column4 * 4u + i) / channels];
    let means = merged[(column * 4u + i) / channels];
    shift[i] = origin(sample, column4 * 4u + i);
    mean[i] = stats.x;
    scale[i] = stats.y;
    mean_g[i] = means.x;
    mean_gx[i] = means.y;
  }
  let weight = gamma[column4];
  let bias = beta[column4];
  let end = min((id.x + 1u) * params.span, params.pixels);
  // Threads left over take no pixel.
  let first = select(end, id.x * params.span + thread / columns, thread < columns * lanes);
  for (var p = first; p < end; p += lanes) {
    let i = base + p * params.columns4;
    let xhat = ((x[i] - shift) - mean) * scale;
    var g = dy[i] * weight;
    if (SILU) {
      let v = xhat * weight + bias;
      let s = 1.0 / (1.0 + exp(min(-v, vec4f(80.0))));
      g *= s + v * s * (1.0 - s);
    }
    var gradient = scale * (g - mean_g - xhat * mean_gx);
    if (ACCUMULATE) { gradient += addend[i]; }
    dx[i] = gradient;
  }
}

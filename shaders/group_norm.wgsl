// Second half of GroupNorm: merges the chunks' statistics and writes y = (x - mean) * scale * gamma + beta, where SILU times
// its sigmoid. A workgroup takes `span` pixels of a block of columns (see group_norm_statistics.wgsl). Where GIVEN the statistics are
// there already, from group_norm_accumulate.wgsl, and x is one band of what they are of.
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
  epsilon: f32,
};
@group(0) @binding(0) var<storage, read_write> y: array<vec4f>;
// [N, groups]: the mean relative to the group's first value, and the scale 1 / sqrt(variance + epsilon)
@group(0) @binding(1) var<storage, read_write> statistics: array<vec2f>;
@group(0) @binding(2) var<storage, read> x: array<vec4f>;
@group(0) @binding(3) var<storage, read> gamma: array<vec4f>;
@group(0) @binding(4) var<storage, read> beta: array<vec4f>;
@group(0) @binding(5) var<storage, read> partial: array<vec2f>; // [N, groups, chunks]; where GIVEN [N, groups]: mean and scale
@group(0) @binding(6) var<uniform> params: Params;

const THREADS = 128u;

var<workgroup> merged: array<vec2f, 4 * THREADS>;

fn merge(first: u32) -> vec2f {
  var weighted = 0.0;
  for (var i = 0u; i < params.chunks; i++) {
    weighted += partial[first + i].x * f32(min(params.chunk, params.pixels - i * params.chunk));
  }
  let mean = weighted / f32(params.pixels);
  var squares = 0.0;
  for (var i = 0u; i < params.chunks; i++) {
    let part = partial[first + i];
    let d = part.x - mean;
    squares += part.y + d * d * (f32(min(params.chunk, params.pixels - i * params.chunk)) * f32(params.channels));
  }
  return vec2f(mean, 1.0 / sqrt(squares / (f32(params.pixels) * f32(params.channels)) + params.epsilon));
}

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
    let at = sample * params.groups + id.y * groups + group;
    var stats: vec2f;
    if (GIVEN) { stats = partial[at]; } else { stats = merge(at * params.chunks); }
    merged[group] = stats;
    if (id.x == 0u) { statistics[at] = stats; }
  }
  workgroupBarrier();

  let column = thread % columns;
  let column4 = id.y * columns + column;
  let base = sample * params.pixels * params.columns4 + column4;
  var shift: vec4f;
  var mean: vec4f;
  var scale: vec4f;
  for (var i = 0u; i < 4u; i++) {
    let stats = merged[(column * 4u + i) / channels];
    shift[i] = select(origin(sample, column4 * 4u + i), 0.0, GIVEN);
    mean[i] = stats.x;
    scale[i] = stats.y;
  }
  scale *= gamma[column4];
  let bias = beta[column4];
  let end = min((id.x + 1u) * params.span, params.pixels);
  // Threads left over take no pixel.
  let first = select(end, id.x * params.span + thread / columns, thread < columns * lanes);
  for (var p = first; p < end; p += lanes) {
    let i = base + p * params.columns4;
    var v = ((x[i] - shift) - mean) * scale + bias;
    if (SILU) { v = v / (1.0 + exp(min(-v, vec4f(80.0)))); }
    y[i] = v;
  }
}

// First half of GroupNorm: for each chunk of pixels and each group, the mean and the sum of squared deviations from it.
//
// x is [N, P, C]. A workgroup takes a chunk of pixels and a block of vec4 columns that holds whole groups; a
// thread takes one column of every `lanes`-th pixel. Values are taken relative to the group's first value in the sample (so a large
// common offset costs no digits), deviations in a second pass, and parts are merged by Chan's formula
//   mean = sum(n_i mean_i) / n;  squares = sum(squares_i + n_i (mean_i - mean)^2).
struct Params {
  pixels: u32,   // P
  chunk: u32,    // pixels in a chunk
  chunks: u32,   // chunks in a sample
  columns4: u32, // C / 4
  groups: u32,   // in a sample
  columns: u32,  // vec4 columns in a block; columns * lanes <= THREADS
  lanes: u32,    // threads that share a column
  channels: u32, // in a group
};
@group(0) @binding(0) var<storage, read_write> partial: array<vec2f>; // [N, groups, chunks]: mean, squares
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<uniform> params: Params;

const THREADS = 128u;

var<workgroup> means: array<vec4f, THREADS>;
var<workgroup> squares: array<vec4f, THREADS>;

// The first value of the group that a channel of this sample belongs to.
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
  let column = thread % columns;
  let lane = thread / columns;
  let column4 = id.y * columns + column;
  let begin = id.x * params.chunk;
  let end = min(begin + params.chunk, params.pixels);
  let base = sample * params.pixels * params.columns4 + column4;
  let channel = column4 * 4u;
  let shift = vec4f(origin(sample, channel), origin(sample, channel + 1u), origin(sample, channel + 2u), origin(sample, channel + 3u));

  // Threads left over take no pixel.
  let first = select(end, begin + lane, lane < lanes);
  var sum = vec4f();
  for (var p = first; p < end; p += lanes) { sum += x[base + p * params.columns4] - shift; }
  let size = end - begin;
  let mean = sum / max(1.0, f32((size + lanes - 1u - lane) / lanes));
  var deviations = vec4f();
  for (var p = first; p < end; p += lanes) {
    let d = (x[base + p * params.columns4] - shift) - mean;
    deviations += d * d;
  }
  means[thread] = mean;
  squares[thread] = deviations;
  workgroupBarrier();

  // The lanes of a column, into the first one's place.
  if (lane == 0u) {
    var weighted = vec4f();
    for (var i = 0u; i < lanes; i++) { weighted += means[i * columns + column] * f32((size + lanes - 1u - i) / lanes); }
    let merged = weighted / f32(size);
    var merged_squares = vec4f();
    for (var i = 0u; i < lanes; i++) {
      let d = means[i * columns + column] - merged;
      merged_squares += squares[i * columns + column] + d * d * f32((size + lanes - 1u - i) / lanes);
    }
    means[column] = merged;
    squares[column] = merged_squares;
  }
  workgroupBarrier();

  // The channels of a group.
  for (var group = thread; group < groups; group += THREADS) {
    var total = 0.0;
    for (var c = group * channels; c < (group + 1u) * channels; c++) { total += means[c / 4u][c % 4u]; }
    let merged = total / f32(channels);
    var merged_squares = 0.0;
    for (var c = group * channels; c < (group + 1u) * channels; c++) {
      let d = means[c / 4u][c % 4u] - merged;
      merged_squares += squares[c / 4u][c % 4u] + d * d * f32(size);
    }
    partial[(sample * params.groups + id.y * groups + group) * params.chunks + id.x] = vec2f(merged, merged_squares);
  }
}

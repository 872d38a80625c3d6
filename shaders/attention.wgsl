// Flash attention, forward: o = softmax(q k^T / sqrt(D)) v by online softmax (Milakov & Gimelshein 2018, Dao 2023), and the
// log-sum-exp of each query's scores for the backward pass. No score ever leaves the workgroup.
//
// A workgroup takes 4 * rows queries of one head: thread (row, slice) takes queries row, row + rows, ... (one to a lane of a
// vec4), and of their D columns the WIDTH vec4s of its slice. All threads of a slice read the same key or value at the
// same time, so tiles in workgroup memory would gain nothing; only the slices' parts of the scores are exchanged there.
// Keys come in blocks of BLOCK. Columns beyond D, where WIDTH * slices > D / 4, count as zero; so do threads that are left over.
//
// WIDTH alone is a compile-time constant, as it sizes the registers: few pipelines serve all head sizes. Loops up to it are
// unrolled (kernels/unroll.ts).
struct Params {
  lq: u32,        // queries in a sample
  lk: u32,        // keys in a sample
  heads: u32,
  depth4: u32,    // D / 4
  slices: u32,    // of a head's columns
  rows: u32,      // threads of a slice; rows * slices <= THREADS
  causal: u32,    // whether query i sees keys 0..i only
  q_stride: u32,  // vec4s from row to row; head h has columns h * depth4 ...
  kv_stride: u32,
  k_offset: u32,  // vec4 columns at which the keys and the values begin in a row of kv
  v_offset: u32,
  scale: f32,     // 1 / sqrt(D)
};
@group(0) @binding(0) var<storage, read_write> o: array<vec4f>;  // [N, Lq, heads * D]
@group(0) @binding(1) var<storage, read_write> lse: array<f32>;  // [N, heads, Lq]
@group(0) @binding(2) var<storage, read> q: array<vec4f>;
@group(0) @binding(3) var<storage, read> kv: array<vec4f>;
@group(0) @binding(4) var<uniform> params: Params;

const MASKED = -1e30;
const THREADS = 64u;
const BLOCK = 8u;

// The slices' parts of a block's scores, and the scores themselves: [BLOCK][THREADS] and [BLOCK][rows].
var<workgroup> parts: array<vec4f, BLOCK * THREADS>;
var<workgroup> scores: array<vec4f, BLOCK * THREADS>;

fn total(v: vec4f) -> f32 { return (v.x + v.y) + (v.z + v.w); }

fn put_score(j: u32, thread: u32, part: vec4f) {
  if (params.slices > 1u) { parts[j * THREADS + thread] = part; } else { scores[j * params.rows + thread] = part; }
}

// Sums the slices' parts. The next block's parts are written after the second barrier, its scores after its first.
fn merge_scores(count: u32, row: u32, slice: u32) {
  if (params.slices > 1u) {
    workgroupBarrier();
    if (slice < params.slices) {
      for (var j = slice; j < count; j += params.slices) {
        var s = parts[j * THREADS + row];
        for (var n = 1u; n < params.slices; n++) { s += parts[j * THREADS + n * params.rows + row]; }
        scores[j * params.rows + row] = s;
      }
    }
    workgroupBarrier();
  }
}

// A score counts only up to the last key that its query sees.
fn masked(score: vec4f, key: u32, last: vec4u) -> vec4f {
  return select(vec4f(MASKED), score, vec4u(key) <= last);
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) id: vec3u, @builtin(local_invocation_index) thread: u32) {
  let rows = params.rows;
  let depth4 = params.depth4;
  let row = thread % rows;
  let slice = thread / rows;
  let sample = id.z;
  let queries = id.x * 4u * rows + row + vec4u(0u, rows, 2u * rows, 3u * rows);
  // Threads of a padded slice read its last real column again.
  let head_column = id.y * depth4;
  let first = slice * WIDTH;

  var query: array<vec4f, 4u * WIDTH>;
  var sum: array<vec4f, 4u * WIDTH>;
  // Queries beyond Lq stay zero. A loop, as every access that stands in the code costs some drivers much time to compile.
  let real = min(4u, params.lq);
  for (var n = 0u; n < real; n++) {
    let at = (sample * params.lq + min(queries[n], params.lq - 1u)) * params.q_stride + head_column;
    let lane = vec4u(n) == vec4u(0u, 1u, 2u, 3u);
    for (var d = 0u; d < WIDTH; d++) {
      let value = q[at + min(first + d, depth4 - 1u)] * select(0.0, params.scale, first + d < depth4);
      query[4u * d] = select(query[4u * d], value, lane.x);
      query[4u * d + 1u] = select(query[4u * d + 1u], value, lane.y);
      query[4u * d + 2u] = select(query[4u * d + 2u], value, lane.z);
      query[4u * d + 3u] = select(query[4u * d + 3u], value, lane.w);
    }
  }
  var top = vec4f(MASKED);
  var weights = vec4f();
  let k_at = sample * params.lk * params.kv_stride + params.k_offset + head_column;
  let v_at = sample * params.lk * params.kv_stride + params.v_offset + head_column;
  var end = params.lk;
  var last_key = vec4u(params.lk);
  if (params.causal != 0u) {
    end = min(end, (id.x + 1u) * 4u * rows);
    last_key = queries;
  }
  for (var begin = 0u; begin < end; begin += BLOCK) {
    // Not up to BLOCK itself: drivers would unroll the loops over keys into many seconds of compilation.
    let count = min(BLOCK, end - begin);
    for (var j = 0u; j < count; j++) {
      let at = k_at + (begin + j) * params.kv_stride;
      var s0 = vec4f();
      var s1 = vec4f();
      var s2 = vec4f();
      var s3 = vec4f();
      for (var d = 0u; d < WIDTH; d++) {
        let k = kv[at + min(first + d, depth4 - 1u)];
        s0 += query[4u * d] * k;
        s1 += query[4u * d + 1u] * k;
        s2 += query[4u * d + 2u] * k;
        s3 += query[4u * d + 3u] * k;
      }
      put_score(j, thread, vec4f(total(s0), total(s1), total(s2), total(s3)));
    }
    merge_scores(count, row, slice);

    var new_top = top;
    for (var j = 0u; j < count; j++) {
      new_top = max(new_top, masked(scores[j * rows + row], begin + j, last_key));
    }
    let shrink = exp(top - new_top);
    top = new_top;
    weights *= shrink;
    for (var d = 0u; d < WIDTH; d++) {
      sum[4u * d] *= shrink.x;
      sum[4u * d + 1u] *= shrink.y;
      sum[4u * d + 2u] *= shrink.z;
      sum[4u * d + 3u] *= shrink.w;
    }
    for (var j = 0u; j < count; j++) {
      let p = exp(masked(scores[j * rows + row], begin + j, last_key) - top);
      weights += p;
      let at = v_at + (begin + j) * params.kv_stride;
      for (var d = 0u; d < WIDTH; d++) {
        let v = kv[at + min(first + d, depth4 - 1u)];
        sum[4u * d] += p.x * v;
        sum[4u * d + 1u] += p.y * v;
        sum[4u * d + 2u] += p.z * v;
        sum[4u * d + 3u] += p.w * v;
      }
    }
  }

  for (var n = 0u; n < real; n++) {
    let i = queries[n];
    if (i >= params.lq) { continue; }
    let at = (sample * params.lq + i) * params.heads * depth4 + head_column;
    for (var d = 0u; d < WIDTH; d++) {
      let low = select(sum[4u * d], sum[4u * d + 1u], n == 1u);
      let high = select(sum[4u * d + 2u], sum[4u * d + 3u], n == 3u);
      if (first + d < depth4) { o[at + first + d] = select(low, high, n > 1u) / weights[n]; }
    }
    if (slice == 0u) { lse[(sample * params.heads + id.y) * params.lq + i] = top[n] + log(weights[n]); }
  }
}

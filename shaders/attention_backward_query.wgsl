// Flash attention, the queries' gradient (Dao 2023, section 3.1), with scores recomputed block by block:
//   p = exp(q k^T / sqrt(D) - lse);  ds = p * (dy v^T - delta);  dq = ds k / sqrt(D).
// The work is split as in attention.wgsl, but a thread takes 2 queries, as it must hold q, dy and dq of its slice.
struct Params { // as in attention.wgsl
  lq: u32,
  lk: u32,
  heads: u32,
  depth4: u32,
  slices: u32,
  rows: u32,
  causal: u32,
  q_stride: u32,
  kv_stride: u32,
  k_offset: u32,
  v_offset: u32,
  scale: f32,
};
@group(0) @binding(0) var<storage, read_write> dq: array<vec4f>; // rows of q_stride; only the queries' columns are written
@group(0) @binding(1) var<storage, read> q: array<vec4f>;
@group(0) @binding(2) var<storage, read> kv: array<vec4f>;
@group(0) @binding(3) var<storage, read> dy: array<vec4f>;       // [N, Lq, heads * D]
@group(0) @binding(4) var<storage, read> lse: array<f32>;        // [N, heads, Lq]
@group(0) @binding(5) var<storage, read> delta: array<f32>;      // [N, heads, Lq]
@group(0) @binding(6) var<uniform> params: Params;

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

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) id: vec3u, @builtin(local_invocation_index) thread: u32) {
  let rows = params.rows;
  let depth4 = params.depth4;
  let row = thread % rows;
  let slice = thread / rows;
  let sample = id.z;
  let queries = id.x * 2u * rows + row + vec2u(0u, rows);
  let head_column = id.y * depth4;
  let first = slice * WIDTH;

  var query: array<vec4f, 2u * WIDTH>;
  var upstream: array<vec4f, 2u * WIDTH>;
  var sum: array<vec4f, 2u * WIDTH>;
  var log_sum: vec2f;
  var offset: vec2f;
  // Queries beyond Lq stay zero. A loop, as every access that stands in the code costs some drivers much time to compile.
  let real = min(2u, params.lq);
  for (var n = 0u; n < real; n++) {
    let i = min(queries[n], params.lq - 1u);
    let q_at = (sample * params.lq + i) * params.q_stride + head_column;
    let dy_at = (sample * params.lq + i) * params.heads * depth4 + head_column;
    for (var d = 0u; d < WIDTH; d++) {
      let column = min(first + d, depth4 - 1u);
      let inside = select(0.0, 1.0, first + d < depth4);
      let a = q[q_at + column] * (inside * params.scale);
      let b = dy[dy_at + column] * inside;
      query[2u * d] = select(query[2u * d], a, n == 0u);
      query[2u * d + 1u] = select(query[2u * d + 1u], a, n == 1u);
      upstream[2u * d] = select(upstream[2u * d], b, n == 0u);
      upstream[2u * d + 1u] = select(upstream[2u * d + 1u], b, n == 1u);
    }
    let statistics_at = (sample * params.heads + id.y) * params.lq + i;
    log_sum[n] = lse[statistics_at];
    offset[n] = delta[statistics_at];
  }
  let k_at = sample * params.lk * params.kv_stride + params.k_offset + head_column;
  let v_at = sample * params.lk * params.kv_stride + params.v_offset + head_column;
  var end = params.lk;
  var last_key = vec2u(params.lk);
  if (params.causal != 0u) {
    end = min(end, (id.x + 1u) * 2u * rows);
    last_key = queries;
  }
  for (var begin = 0u; begin < end; begin += BLOCK) {
    // Not up to BLOCK itself: drivers would unroll the loops over keys into many seconds of compilation.
    let count = min(BLOCK, end - begin);
    for (var j = 0u; j < count; j++) {
      let at = (begin + j) * params.kv_stride;
      var s0 = vec4f();
      var s1 = vec4f();
      var dp0 = vec4f();
      var dp1 = vec4f();
      for (var d = 0u; d < WIDTH; d++) {
        let column = min(first + d, depth4 - 1u);
        let k = kv[k_at + at + column];
        let v = kv[v_at + at + column];
        s0 += query[2u * d] * k;
        s1 += query[2u * d + 1u] * k;
        dp0 += upstream[2u * d] * v;
        dp1 += upstream[2u * d + 1u] * v;
      }
      put_score(j, thread, vec4f(total(s0), total(s1), total(dp0), total(dp1)));
    }
    merge_scores(count, row, slice);

    for (var j = 0u; j < count; j++) {
      let score = scores[j * rows + row]; // s and dp of the two queries
      let exponent = select(vec2f(MASKED), score.xy - log_sum, vec2u(begin + j) <= last_key);
      let ds = exp(exponent) * (score.zw - offset);
      let at = k_at + (begin + j) * params.kv_stride;
      for (var d = 0u; d < WIDTH; d++) {
        let k = kv[at + min(first + d, depth4 - 1u)];
        sum[2u * d] += ds.x * k;
        sum[2u * d + 1u] += ds.y * k;
      }
    }
  }

  for (var n = 0u; n < real; n++) {
    if (queries[n] >= params.lq) { continue; }
    let at = (sample * params.lq + queries[n]) * params.q_stride + head_column + first;
    for (var d = 0u; d < WIDTH; d++) {
      if (first + d < depth4) { dq[at + d] = select(sum[2u * d], sum[2u * d + 1u], n == 1u) * params.scale; }
    }
  }
}

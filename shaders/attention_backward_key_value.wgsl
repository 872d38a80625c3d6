// Flash attention, the keys' and values' gradients (Dao 2023, section 3.1), with scores recomputed block by block:
//   p = exp(q k^T / sqrt(D) - lse);  ds = p * (dy v^T - delta);  dv = p^T dy;  dk = ds^T q / sqrt(D).
// The work is split as in attention_backward_query.wgsl with keys and queries changing places: a thread takes 2 keys and
// walks over blocks of BLOCK queries.
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
@group(0) @binding(0) var<storage, read_write> dkv: array<vec4f>; // rows of kv_stride; only keys' and values' columns are written
@group(0) @binding(1) var<storage, read> q: array<vec4f>;
@group(0) @binding(2) var<storage, read> kv: array<vec4f>;
@group(0) @binding(3) var<storage, read> dy: array<vec4f>;        // [N, Lq, heads * D]
@group(0) @binding(4) var<storage, read> lse: array<f32>;         // [N, heads, Lq]
@group(0) @binding(5) var<storage, read> delta: array<f32>;       // [N, heads, Lq]
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
  let keys = id.x * 2u * rows + row + vec2u(0u, rows);
  let head_column = id.y * depth4;
  let first = slice * WIDTH;

  var key: array<vec4f, 2u * WIDTH>;
  var value: array<vec4f, 2u * WIDTH>;
  var dk: array<vec4f, 2u * WIDTH>;
  var dv: array<vec4f, 2u * WIDTH>;
  // Keys beyond Lk stay zero. A loop, as every access that stands in the code costs some drivers much time to compile.
  let real = min(2u, params.lk);
  for (var n = 0u; n < real; n++) {
    let at = (sample * params.lk + min(keys[n], params.lk - 1u)) * params.kv_stride + head_column;
    for (var d = 0u; d < WIDTH; d++) {
      let column = min(first + d, depth4 - 1u);
      let inside = select(0.0, 1.0, first + d < depth4);
      let a = kv[at + params.k_offset + column] * (inside * params.scale);
      let b = kv[at + params.v_offset + column] * inside;
      key[2u * d] = select(key[2u * d], a, n == 0u);
      key[2u * d + 1u] = select(key[2u * d + 1u], a, n == 1u);
      value[2u * d] = select(value[2u * d], b, n == 0u);
      value[2u * d + 1u] = select(value[2u * d + 1u], b, n == 1u);
    }
  }
  let q_at = sample * params.lq * params.q_stride + head_column;
  let dy_stride = params.heads * depth4;
  let dy_at = sample * params.lq * dy_stride + head_column;
  let statistics_at = (sample * params.heads + id.y) * params.lq;
  var start = 0u;
  var first_query = vec2u();
  if (params.causal != 0u) {
    start = id.x * 2u * rows;
    first_query = keys;
  }
  for (var begin = start; begin < params.lq; begin += BLOCK) {
    // Not up to BLOCK itself: drivers would unroll the loops over queries into many seconds of compilation.
    let count = min(BLOCK, params.lq - begin);
    for (var i = 0u; i < count; i++) {
      let a_at = q_at + (begin + i) * params.q_stride;
      let b_at = dy_at + (begin + i) * dy_stride;
      var s0 = vec4f();
      var s1 = vec4f();
      var dp0 = vec4f();
      var dp1 = vec4f();
      for (var d = 0u; d < WIDTH; d++) {
        let column = min(first + d, depth4 - 1u);
        let a = q[a_at + column];
        let b = dy[b_at + column];
        s0 += key[2u * d] * a;
        s1 += key[2u * d + 1u] * a;
        dp0 += value[2u * d] * b;
        dp1 += value[2u * d + 1u] * b;
      }
      put_score(i, thread, vec4f(total(s0), total(s1), total(dp0), total(dp1)));
    }
    merge_scores(count, row, slice);

    for (var i = 0u; i < count; i++) {
      let query = begin + i;
      let score = scores[i * rows + row]; // s and dp of the two keys
      let p = exp(select(vec2f(MASKED), score.xy - lse[statistics_at + query], first_query <= vec2u(query)));
      let ds = p * (score.zw - delta[statistics_at + query]);
      let a_at = q_at + query * params.q_stride;
      let b_at = dy_at + query * dy_stride;
      for (var d = 0u; d < WIDTH; d++) {
        let column = min(first + d, depth4 - 1u);
        let a = q[a_at + column];
        let b = dy[b_at + column];
        dk[2u * d] += ds.x * a;
        dk[2u * d + 1u] += ds.y * a;
        dv[2u * d] += p.x * b;
        dv[2u * d + 1u] += p.y * b;
      }
    }
  }

  for (var n = 0u; n < real; n++) {
    if (keys[n] >= params.lk) { continue; }
    let at = (sample * params.lk + keys[n]) * params.kv_stride + head_column + first;
    for (var d = 0u; d < WIDTH; d++) {
      if (first + d < depth4) {
        dkv[at + params.k_offset + d] = select(dk[2u * d], dk[2u * d + 1u], n == 1u) * params.scale;
        dkv[at + params.v_offset + d] = select(dv[2u * d], dv[2u * d + 1u], n == 1u);
      }
    }
  }
}

// Flash attention for small heads, backward (Dao 2023, algorithm 2): where QUERY, a thread takes a query and walks the keys for
// dq; else it takes a key and walks the queries for dk and dv. Params as in attention_rows.wgsl.
struct Params {
  lq: u32, lk: u32, heads: u32, samples: u32, causal: u32,
  q_stride: u32, kv_stride: u32, k_offset: u32, v_offset: u32, scale: f32,
};
@group(0) @binding(0) var<storage, read_write> gradient: array<vec4f>;  // laid out as q (QUERY) or as kv
@group(0) @binding(1) var<storage, read> q: array<vec4f>;
@group(0) @binding(2) var<storage, read> kv: array<vec4f>;
@group(0) @binding(3) var<storage, read> dy: array<vec4f>;     // [N, Lq, heads * D]
@group(0) @binding(4) var<storage, read> lse: array<f32>;      // [N, heads, Lq]
@group(0) @binding(5) var<storage, read> delta: array<f32>;    // [N, heads, Lq]: sum of dy * o
@group(0) @binding(6) var<uniform> params: Params;

fn of_query(n: u32, head: u32, query: u32) {
  let q_at = (n * params.lq + query) * params.q_stride + head * D4;
  let dy_at = ((n * params.lq + query) * params.heads + head) * D4;
  let row_at = (n * params.heads + head) * params.lq + query;
  let row_lse = lse[row_at];
  let row_delta = delta[row_at];
  var own: array<vec4f, D4>;
  var up: array<vec4f, D4>;
  var sum: array<vec4f, D4>;
  for (var d = 0u; d < D4; d++) { own[d] = q[q_at + d] * params.scale; up[d] = dy[dy_at + d]; sum[d] = vec4f(); }
  let end = select(params.lk, query + 1u, params.causal != 0u);
  for (var key = 0u; key < end; key++) {
    let row = (n * params.lk + key) * params.kv_stride + head * D4;
    var score = 0.0;
    var dp = 0.0;
    for (var d = 0u; d < D4; d++) {
      score += dot(own[d], kv[row + params.k_offset + d]);
      dp += dot(up[d], kv[row + params.v_offset + d]);
    }
    let ds = exp(score - row_lse) * (dp - row_delta) * params.scale;
    for (var d = 0u; d < D4; d++) { sum[d] += ds * kv[row + params.k_offset + d]; }
  }
  for (var d = 0u; d < D4; d++) { gradient[q_at + d] = sum[d]; }
}

fn of_key(n: u32, head: u32, key: u32) {
  let row = (n * params.lk + key) * params.kv_stride + head * D4;
  var own_k: array<vec4f, D4>;
  var own_v: array<vec4f, D4>;
  var sum_k: array<vec4f, D4>;
  var sum_v: array<vec4f, D4>;
  for (var d = 0u; d < D4; d++) {
    own_k[d] = kv[row + params.k_offset + d] * params.scale;
    own_v[d] = kv[row + params.v_offset + d];
    sum_k[d] = vec4f();
    sum_v[d] = vec4f();
  }
  for (var query = select(0u, key, params.causal != 0u); query < params.lq; query++) {
    let q_at = (n * params.lq + query) * params.q_stride + head * D4;
    let dy_at = ((n * params.lq + query) * params.heads + head) * D4;
    let row_at = (n * params.heads + head) * params.lq + query;
    var score = 0.0;
    var dp = 0.0;
    for (var d = 0u; d < D4; d++) {
      score += dot(own_k[d], q[q_at + d]);
      dp += dot(own_v[d], dy[dy_at + d]);
    }
    let p = exp(score - lse[row_at]);
    let ds = p * (dp - delta[row_at]) * params.scale;
    for (var d = 0u; d < D4; d++) {
      sum_v[d] += p * dy[dy_at + d];
      sum_k[d] += ds * q[q_at + d];
    }
  }
  for (var d = 0u; d < D4; d++) {
    gradient[row + params.k_offset + d] = sum_k[d];
    gradient[row + params.v_offset + d] = sum_v[d];
  }
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) grid: vec3u) {
  let i = id.x + id.y * grid.x * 64u;
  let length = select(params.lk, params.lq, QUERY);
  if (i >= params.samples * params.heads * length) { return; }
  let head = (i / length) % params.heads;
  let n = i / (length * params.heads);
  if (QUERY) { of_query(n, head, i % length); } else { of_key(n, head, i % length); }
}

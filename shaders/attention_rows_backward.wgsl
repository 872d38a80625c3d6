// Flash attention where a thread takes a whole row, backward (Dao 2023, algorithm 2): where QUERY, a thread takes a query and walks the
// keys for dq; else it takes a key and walks the queries for dk and dv. All else is as in attention_rows.wgsl.
struct Params {
  lq: u32, lk: u32, heads: u32, causal: u32,
  q_stride: u32, kv_stride: u32, k_offset: u32, v_offset: u32, scale: f32,
};
@group(0) @binding(0) var<storage, read_write> gradient: array<vec4f>;  // laid out as q (QUERY) or as kv
@group(0) @binding(1) var<storage, read> q: array<vec4f>;
@group(0) @binding(2) var<storage, read> kv: array<vec4f>;
@group(0) @binding(3) var<storage, read> dy: array<vec4f>;     // [N, Lq, heads * D]
@group(0) @binding(4) var<storage, read> lse: array<f32>;      // [N, heads, Lq]
@group(0) @binding(5) var<storage, read> delta: array<f32>;    // [N, heads, Lq]: sum of dy * o
@group(0) @binding(6) var<uniform> params: Params;

fn q_row(n: u32, head: u32, query: u32) -> u32 { return (n * params.lq + query) * params.q_stride + head * D4; }
fn dy_row(n: u32, head: u32, query: u32) -> u32 { return ((n * params.lq + query) * params.heads + head) * D4; }
fn statistics_row(n: u32, head: u32, query: u32) -> u32 { return (n * params.heads + head) * params.lq + query; }
fn kv_row(n: u32, head: u32, key: u32) -> u32 { return (n * params.lk + key) * params.kv_stride + head * D4; }

fn of_query(group: vec3u, thread: Thread) {
  let lane = lane_of(thread);
  let lanes = lanes_of(thread);
  let n = group.z;
  let head = group.y;
  let i = group.x * 64u + thread.index;
  let query = min(i, params.lq - 1u);
  let q_at = q_row(n, head, query);
  let dy_at = dy_row(n, head, query);
  let row_lse = lse[statistics_row(n, head, query)];
  let row_delta = delta[statistics_row(n, head, query)];
  var own: array<vec4f, D4>;
  var up: array<vec4f, D4>;
  var sum: array<vec4f, D4>;
  for (var d = 0u; d < D4; d++) { own[d] = q[q_at + d] * params.scale; up[d] = dy[dy_at + d]; sum[d] = vec4f(); }
  let end = select(params.lk, min((group.x + 1u) * 64u, params.lk), params.causal != 0u);
  for (var begin = 0u; begin < end; begin += lanes) {
    let row = kv_row(n, head, min(begin + lane, params.lk - 1u));
    var keys: array<vec4f, D4>;
    var values: array<vec4f, D4>;
    for (var d = 0u; d < D4; d++) { keys[d] = kv[row + params.k_offset + d]; values[d] = kv[row + params.v_offset + d]; }
    let count = min(lanes, end - begin);
    for (var j = 0u; j < count; j++) {
      var score = 0.0;
      var dp = 0.0;
      for (var d = 0u; d < D4; d++) {
        score += dot(own[d], quad_of(keys[d], j));
        dp += dot(up[d], quad_of(values[d], j));
      }
      let p = select(exp(score - row_lse), 0.0, params.causal != 0u && begin + j > query);
      let ds = p * (dp - row_delta) * params.scale;
      for (var d = 0u; d < D4; d++) { sum[d] += ds * quad_of(keys[d], j); }
    }
  }
  if (i != query) { return; }
  for (var d = 0u; d < D4; d++) { gradient[q_at + d] = sum[d]; }
}

fn of_key(group: vec3u, thread: Thread) {
  let lane = lane_of(thread);
  let lanes = lanes_of(thread);
  let n = group.z;
  let head = group.y;
  let i = group.x * 64u + thread.index;
  let key = min(i, params.lk - 1u);
  let row = kv_row(n, head, key);
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
  let start = select(0u, group.x * 64u, params.causal != 0u);
  for (var begin = start; begin < params.lq; begin += lanes) {
    let query = min(begin + lane, params.lq - 1u);
    let q_at = q_row(n, head, query);
    let dy_at = dy_row(n, head, query);
    let lane_lse = lse[statistics_row(n, head, query)];
    let lane_delta = delta[statistics_row(n, head, query)];
    var queries: array<vec4f, D4>;
    var ups: array<vec4f, D4>;
    for (var d = 0u; d < D4; d++) { queries[d] = q[q_at + d]; ups[d] = dy[dy_at + d]; }
    let count = min(lanes, params.lq - begin);
    for (var j = 0u; j < count; j++) {
      var score = 0.0;
      var dp = 0.0;
      for (var d = 0u; d < D4; d++) {
        score += dot(own_k[d], quad_of(queries[d], j));
        dp += dot(own_v[d], quad_of(ups[d], j));
      }
      let p = select(exp(score - number_of(lane_lse, j)), 0.0, params.causal != 0u && begin + j < key);
      let ds = p * (dp - number_of(lane_delta, j)) * params.scale;
      for (var d = 0u; d < D4; d++) {
        sum_v[d] += p * quad_of(ups[d], j);
        sum_k[d] += ds * quad_of(queries[d], j);
      }
    }
  }
  if (i != key) { return; }
  for (var d = 0u; d < D4; d++) {
    gradient[row + params.k_offset + d] = sum_k[d];
    gradient[row + params.v_offset + d] = sum_v[d];
  }
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, thread: Thread) {
  if (QUERY) { of_query(group, thread); } else { of_key(group, thread); }
}

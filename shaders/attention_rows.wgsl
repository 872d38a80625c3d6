// Flash attention where a thread takes a whole row, forward: a query of one head, whose keys it walks with the online softmax in its
// registers. No barrier and no workgroup memory: for heads of a few numbers that is all there is to gain. The keys come in blocks of which
// each lane reads one: needs rows_alone.wgsl or rows_together.wgsl. Params as in attention.wgsl; D4 = D / 4.
struct Params {
  lq: u32, lk: u32, heads: u32, causal: u32,
  q_stride: u32, kv_stride: u32, k_offset: u32, v_offset: u32, scale: f32,
};
@group(0) @binding(0) var<storage, read_write> o: array<vec4f>;  // [N, Lq, heads * D]
@group(0) @binding(1) var<storage, read_write> lse: array<f32>;  // [N, heads, Lq]
@group(0) @binding(2) var<storage, read> q: array<vec4f>;
@group(0) @binding(3) var<storage, read> kv: array<vec4f>;
@group(0) @binding(4) var<uniform> params: Params;

const MASKED = -1e30;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, thread: Thread) {
  let lane = lane_of(thread);
  let lanes = lanes_of(thread);
  let n = group.z;
  let head = group.y;
  // A thread beyond the last query reads keys for the others, too, so it takes the last one again.
  let i = group.x * 64u + thread.index;
  let query = min(i, params.lq - 1u);
  let q_at = (n * params.lq + query) * params.q_stride + head * D4;
  var own: array<vec4f, D4>;
  var sum: array<vec4f, D4>;
  for (var d = 0u; d < D4; d++) { own[d] = q[q_at + d] * params.scale; sum[d] = vec4f(); }
  var highest = MASKED;
  var weight = 0.0;
  let end = select(params.lk, min((group.x + 1u) * 64u, params.lk), params.causal != 0u);
  for (var begin = 0u; begin < end; begin += lanes) {
    let row = (n * params.lk + min(begin + lane, params.lk - 1u)) * params.kv_stride + head * D4;
    var keys: array<vec4f, D4>;
    var values: array<vec4f, D4>;
    for (var d = 0u; d < D4; d++) { keys[d] = kv[row + params.k_offset + d]; values[d] = kv[row + params.v_offset + d]; }
    let count = min(lanes, end - begin);
    for (var j = 0u; j < count; j++) {
      var score = 0.0;
      for (var d = 0u; d < D4; d++) { score += dot(own[d], quad_of(keys[d], j)); }
      // With `causal`, a query sees no key after it.
      score = select(score, MASKED, params.causal != 0u && begin + j > query);
      let next = max(highest, score);
      let fade = exp(highest - next);
      let p = exp(score - next);
      weight = weight * fade + p;
      for (var d = 0u; d < D4; d++) { sum[d] = sum[d] * fade + p * quad_of(values[d], j); }
      highest = next;
    }
  }
  if (i != query) { return; }
  let o_at = ((n * params.lq + query) * params.heads + head) * D4;
  for (var d = 0u; d < D4; d++) { o[o_at + d] = sum[d] / weight; }
  lse[(n * params.heads + head) * params.lq + query] = highest + log(weight);
}

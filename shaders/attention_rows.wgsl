// Flash attention for small heads, forward: a thread takes a whole query of one head and walks all keys, with the online
// softmax in its registers. No barrier and no workgroup memory: for heads of a few numbers that is all there is to gain.
// Params as in attention.wgsl; D4 = D / 4.
struct Params {
  lq: u32, lk: u32, heads: u32, samples: u32, causal: u32,
  q_stride: u32, kv_stride: u32, k_offset: u32, v_offset: u32, scale: f32,
};
@group(0) @binding(0) var<storage, read_write> o: array<vec4f>;  // [N, Lq, heads * D]
@group(0) @binding(1) var<storage, read_write> lse: array<f32>;  // [N, heads, Lq]
@group(0) @binding(2) var<storage, read> q: array<vec4f>;
@group(0) @binding(3) var<storage, read> kv: array<vec4f>;
@group(0) @binding(4) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) grid: vec3u) {
  let i = id.x + id.y * grid.x * 64u;
  if (i >= params.samples * params.heads * params.lq) { return; }
  let query = i % params.lq;
  let head = (i / params.lq) % params.heads;
  let n = i / (params.lq * params.heads);
  let q_at = (n * params.lq + query) * params.q_stride + head * D4;
  var own: array<vec4f, D4>;
  var sum: array<vec4f, D4>;
  for (var d = 0u; d < D4; d++) { own[d] = q[q_at + d] * params.scale; sum[d] = vec4f(); }
  var highest = -1e30;
  var weight = 0.0;
  let end = select(params.lk, query + 1u, params.causal != 0u);
  for (var key = 0u; key < end; key++) {
    let row = (n * params.lk + key) * params.kv_stride + head * D4;
    var score = 0.0;
    for (var d = 0u; d < D4; d++) { score += dot(own[d], kv[row + params.k_offset + d]); }
    let next = max(highest, score);
    let fade = exp(highest - next);
    let p = exp(score - next);
    weight = weight * fade + p;
    for (var d = 0u; d < D4; d++) { sum[d] = sum[d] * fade + p * kv[row + params.v_offset + d]; }
    highest = next;
  }
  let o_at = ((n * params.lq + query) * params.heads + head) * D4;
  for (var d = 0u; d < D4; d++) { o[o_at + d] = sum[d] / weight; }
  lse[(n * params.heads + head) * params.lq + query] = highest + log(weight);
}

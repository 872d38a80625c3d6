// delta = sum over a head's columns of dy * o, for each query: what the softmax's gradient subtracts (Dao 2023, section 3.1).
struct Params { size: u32, lq: u32, heads: u32, depth4: u32 }; // size = N * Lq * heads
@group(0) @binding(0) var<storage, read_write> delta: array<f32>; // [N, heads, Lq]
@group(0) @binding(1) var<storage, read> o: array<vec4f>;         // [N, Lq, heads * D]
@group(0) @binding(2) var<storage, read> dy: array<vec4f>;
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) grid: vec3u) {
  let index = id.x + id.y * grid.x * 64u;
  if (index >= params.size) { return; }
  var sum = vec4f();
  for (var d = 0u; d < params.depth4; d++) { sum += dy[index * params.depth4 + d] * o[index * params.depth4 + d]; }
  let head = index % params.heads;
  let query = index / params.heads; // over all samples
  delta[(query / params.lq * params.heads + head) * params.lq + query % params.lq] = (sum.x + sum.y) + (sum.z + sum.w);
}

// float32 to packed halves, a quad to two words. What a half cannot hold becomes the largest that it can: infinities would spread.
struct Params { quads: u32 };
@group(0) @binding(0) var<storage, read_write> halves: array<vec2u>;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) grid: vec3u) {
  let i = id.x + id.y * grid.x * 256u;
  if (i >= params.quads) { return; }
  let v = clamp(x[i], vec4f(-65504.0), vec4f(65504.0));
  halves[i] = vec2u(pack2x16float(v.xy), pack2x16float(v.zw));
}

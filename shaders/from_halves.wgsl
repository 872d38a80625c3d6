// Packed halves, as to_halves.wgsl leaves them, to float32.
struct Params { quads: u32 };
@group(0) @binding(0) var<storage, read_write> y: array<vec4f>;
@group(0) @binding(1) var<storage, read> halves: array<vec2u>;
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) grid: vec3u) {
  let i = id.x + id.y * grid.x * 256u;
  if (i >= params.quads) { return; }
  y[i] = vec4f(unpack2x16float(halves[i].x), unpack2x16float(halves[i].y));
}

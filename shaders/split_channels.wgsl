// x [pixels, a | b channels] cut into its first and its last channels: the gradients of a concatenation, in one pass.
struct Params { pixels: u32, a4: u32, b4: u32 }; // channels / 4
@group(0) @binding(0) var<storage, read_write> a: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> b: array<vec4f>;
@group(0) @binding(2) var<storage, read> x: array<vec4f>;
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) grid: vec3u) {
  let i = id.x + id.y * grid.x * 256u;
  let width = params.a4 + params.b4;
  if (i >= params.pixels * width) { return; }
  let pixel = i / width;
  let c4 = i % width;
  if (c4 < params.a4) {
    a[pixel * params.a4 + c4] = x[i];
  } else {
    b[pixel * params.b4 + c4 - params.a4] = x[i];
  }
}

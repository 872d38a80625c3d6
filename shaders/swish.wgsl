// y = x * sigmoid(slope * x), and its gradient where BACKWARD: SiLU with slope 1, quick-GELU with 1.702.
struct Params { size4: u32, slope: f32 };
@group(0) @binding(0) var<storage, read_write> y: array<vec4f>;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> dy: array<vec4f>;
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) grid: vec3u) {
  let i = id.x + id.y * grid.x * 256u;
  if (i >= params.size4) { return; }
  let v = x[i];
  // Clamped: an overflow to infinity is not guaranteed to behave in WGSL.
  let s = 1.0 / (1.0 + exp(min(-params.slope * v, vec4f(80.0))));
  if (BACKWARD) {
    y[i] = dy[i] * (s + params.slope * v * s * (1.0 - s));
  } else {
    y[i] = v * s;
  }
}

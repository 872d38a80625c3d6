// y[row, column] = x[row, column] * magnitude[column] / norm[column] + bias[column] + time[image, column] + residual[row, column].
struct Params { rows: u32, columns4: u32, image_rows: u32, has_bias: u32, has_time: u32, has_residual: u32 };
@group(0) @binding(0) var<storage, read_write> y: array<vec4f>;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> magnitude: array<vec4f>;
@group(0) @binding(3) var<storage, read> norm: array<vec4f>;
@group(0) @binding(4) var<storage, read> bias: array<vec4f>;
@group(0) @binding(5) var<storage, read> time: array<vec4f>;
@group(0) @binding(6) var<storage, read> residual: array<vec4f>;
@group(0) @binding(7) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) grid: vec3u) {
  let i = id.x + id.y * grid.x * 64u;
  if (i >= params.rows * params.columns4) { return; }
  let c = i % params.columns4;
  var value = x[i] * (magnitude[c] / norm[c]);
  if (params.has_bias != 0u) { value += bias[c]; }
  if (params.has_time != 0u) { value += time[i / params.columns4 / params.image_rows * params.columns4 + c]; }
  if (params.has_residual != 0u) { value += residual[i]; }
  y[i] = value;
}

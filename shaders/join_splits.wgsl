// The second half of a matrix product whose depth was split among workgroups (kernels/splitDepth.ts): adds up the parts, always in
// the same order, and then what hangs on the product: y = sum over splits of parts[split] + bias + time of the image + residual.
struct Params {
  size4: u32,   // vec4s of y
  width4: u32,  // of one of its rows
  image4: u32,  // of one image
  splits: u32,
  has_bias: u32, has_time: u32, has_residual: u32,
};
@group(0) @binding(0) var<storage, read_write> y: array<vec4f>;
@group(0) @binding(1) var<storage, read> parts: array<vec4f>; // [splits, size4]
@group(0) @binding(2) var<storage, read> bias: array<vec4f>;
@group(0) @binding(3) var<storage, read> time: array<vec4f>;
@group(0) @binding(4) var<storage, read> residual: array<vec4f>;
@group(0) @binding(5) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) grid: vec3u) {
  let i = id.x + id.y * grid.x * 64u;
  if (i >= params.size4) { return; }
  var value = parts[i];
  for (var split = 1u; split < params.splits; split++) { value += parts[split * params.size4 + i]; }
  let column = i % params.width4;
  if (params.has_bias != 0u) { value += bias[column]; }
  if (params.has_time != 0u) { value += time[i / params.image4 * params.width4 + column]; }
  if (params.has_residual != 0u) { value += residual[i]; }
  y[i] = value;
}

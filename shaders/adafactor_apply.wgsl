// Adafactor's step on a page, in place; means, table and scales as in adafactor_matrices.wgsl, after whose matrices the table says of each block
// of 256 values which matrix it belongs to. momentum: a running mean of the updates, where MOMENTUM.
struct Params { size: u32, matrices: u32 };
struct Hyper { rate: f32, beta1: f32, beta2: f32, one_minus_beta2: f32, epsilon: f32, least_scale: f32, decay: f32 };
@group(0) @binding(0) var<storage, read_write> values: array<f32>;
@group(0) @binding(1) var<storage, read_write> momentum: array<f32>;
@group(0) @binding(2) var<storage, read> gradients: array<f32>;
@group(0) @binding(3) var<storage, read> means: array<f32>;
@group(0) @binding(4) var<storage, read> scales: array<vec4f>;
@group(0) @binding(5) var<storage, read> table: array<u32>;
@group(0) @binding(6) var<storage, read> report: array<f32>;
@group(0) @binding(7) var<storage, read> hyper: Hyper;
@group(0) @binding(8) var<uniform> params: Params;

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) grid: vec3u) {
  let i = id.x + id.y * grid.x * 256u;
  if (i >= params.size || report[0] == 0.0) { return; }
  let matrix = table[params.matrices * 6u + i / 256u];
  let at = matrix * 6u;
  let rows = table[at + 1u];
  let columns = table[at + 2u];
  let line = table[at + 3u];
  let k = i - table[at];
  if (k >= rows * columns) { return; }
  let scale = scales[matrix];
  let gradient = gradients[i] * report[0];
  var step = scale.y * (inverseSqrt(means[line + k / columns] / scale.x) * inverseSqrt(means[line + rows + k % columns]) * gradient);
  if (MOMENTUM) {
    step = hyper.beta1 * momentum[i] + (1.0 - hyper.beta1) * step;
    momentum[i] = step;
  }
  values[i] = (1.0 - scale.z * hyper.decay) * values[i] - step;
}

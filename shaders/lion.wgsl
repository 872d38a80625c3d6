// One step of Lion (Chen et al. 2023) on a page of parameters, in place; bindings as in adamw.wgsl, state = m of each value.
// As lion-pytorch: decay, a step along the sign of a blend of m and the gradient, then m.
struct Params { size: u32 };
struct Hyper { decay: f32, beta1: f32, one_minus_beta1: f32, beta2: f32, one_minus_beta2: f32, learning_rate: f32 };
@group(0) @binding(0) var<storage, read_write> values: array<f32>;
@group(0) @binding(1) var<storage, read_write> state: array<f32>;
@group(0) @binding(2) var<storage, read> gradients: array<f32>;
@group(0) @binding(3) var<storage, read> factors: array<f32>;
@group(0) @binding(4) var<storage, read> report: array<f32>;
@group(0) @binding(5) var<storage, read> hyper: Hyper;
@group(0) @binding(6) var<uniform> params: Params;

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) grid: vec3u) {
  let i = id.x + id.y * grid.x * 256u;
  if (i >= params.size || report[0] == 0.0) { return; }
  let factor = factors[i / 256u];
  let gradient = gradients[i] * report[0];
  let direction = sign(hyper.beta1 * state[i] + hyper.one_minus_beta1 * gradient);
  values[i] = (1.0 - factor * hyper.decay) * values[i] - factor * hyper.learning_rate * direction;
  state[i] = hyper.beta2 * state[i] + hyper.one_minus_beta2 * gradient;
}

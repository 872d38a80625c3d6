// One step of AdamW on a page of parameters, in place. state = (m, v) of each value; factors: of the learning rate, one a block of 256.
// As torch.optim.AdamW: decay, then moments, then the step with both bias corrections (which the CPU computes in double).
struct Params { size: u32 };
struct Hyper { decay: f32, one_minus_beta1: f32, beta2: f32, one_minus_beta2: f32, root_correction2: f32, epsilon: f32, step_size: f32 };
@group(0) @binding(0) var<storage, read_write> values: array<f32>;
@group(0) @binding(1) var<storage, read_write> state: array<vec2f>;
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
  let before = state[i];
  let m = before.x + hyper.one_minus_beta1 * (gradient - before.x);
  let v = hyper.beta2 * before.y + hyper.one_minus_beta2 * gradient * gradient;
  state[i] = vec2f(m, v);
  let step = factor * hyper.step_size * (m / (sqrt(v) / hyper.root_correction2 + hyper.epsilon));
  values[i] = (1.0 - factor * hyper.decay) * values[i] - step;
}

// Prodigy's step on a page: Adam's, at the rate d * rate with the d from before this step's estimate; state and scalars as in prodigy_moments.wgsl.
struct Params { size: u32 };
struct Hyper { rate: f32, decay: f32, beta1: f32, beta2: f32, beta3: f32, epsilon: f32, initial_d: f32, coefficient: f32, safeguard: f32, first: f32 };
@group(0) @binding(0) var<storage, read_write> values: array<f32>;
@group(0) @binding(1) var<storage, read> state: array<vec4f>;
@group(0) @binding(2) var<storage, read> factors: array<f32>;
@group(0) @binding(3) var<storage, read> report: array<f32>;
@group(0) @binding(4) var<storage, read> hyper: Hyper;
@group(0) @binding(5) var<storage, read> scalars: array<f32>;
@group(0) @binding(6) var<uniform> params: Params;

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) grid: vec3u) {
  let i = id.x + id.y * grid.x * 256u;
  if (i >= params.size || report[0] == 0.0 || scalars[3] == 0.0) { return; }
  let rate = scalars[3] * hyper.rate * factors[i / 256u];
  let step = rate * state[i].x / (sqrt(state[i].y) + scalars[0] * hyper.epsilon);
  values[i] = (1.0 - rate * hyper.decay) * values[i] - step;
}

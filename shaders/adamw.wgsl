// One step of AdamW on up to three parameters, in place; the sizes of missing ones are 0. moments = m of all, then v of all.
// As torch.optim.AdamW: decay, then moments, then the step with both bias corrections (which the CPU computes in double).
struct Params { size0: u32, size1: u32, size2: u32 };
struct Hyper { decay: f32, one_minus_beta1: f32, beta2: f32, one_minus_beta2: f32, root_correction2: f32, epsilon: f32, step_size: f32 };
@group(0) @binding(0) var<storage, read_write> param0: array<f32>;
@group(0) @binding(1) var<storage, read_write> param1: array<f32>;
@group(0) @binding(2) var<storage, read_write> param2: array<f32>;
@group(0) @binding(3) var<storage, read_write> moments: array<f32>;
@group(0) @binding(4) var<storage, read> gradient0: array<f32>;
@group(0) @binding(5) var<storage, read> gradient1: array<f32>;
@group(0) @binding(6) var<storage, read> gradient2: array<f32>;
@group(0) @binding(7) var<storage, read> hyper: Hyper;
@group(0) @binding(8) var<uniform> params: Params;

/// Updates the moments of element i of all the parameters and returns its parameter's new value.
fn update(i: u32, param: f32, gradient: f32) -> f32 {
  let j = i + params.size0 + params.size1 + params.size2;
  var m = moments[i];
  m += hyper.one_minus_beta1 * (gradient - m);
  let v = hyper.beta2 * moments[j] + hyper.one_minus_beta2 * gradient * gradient;
  moments[i] = m;
  moments[j] = v;
  return hyper.decay * param - hyper.step_size * (m / (sqrt(v) / hyper.root_correction2 + hyper.epsilon));
}

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) grid: vec3u) {
  let i = id.x + id.y * grid.x * 256u;
  let end0 = params.size0;
  let end1 = end0 + params.size1;
  if (i < end0) {
    param0[i] = update(i, param0[i], gradient0[i]);
  } else if (i < end1) {
    param1[i - end0] = update(i, param1[i - end0], gradient1[i - end0]);
  } else if (i < end1 + params.size2) {
    param2[i - end1] = update(i, param2[i - end1], gradient2[i - end1]);
  }
}

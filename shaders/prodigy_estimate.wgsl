// Prodigy's estimate of D from the sums of all blocks; one workgroup. scalars as in prodigy_moments.wgsl. The step is taken with the d from
// before, as in prodigyopt; a d of 0 says that there is nothing to do.
struct Params { blocks: u32 };
struct Hyper { rate: f32, decay: f32, beta1: f32, beta2: f32, beta3: f32, epsilon: f32, initial_d: f32, coefficient: f32, safeguard: f32, first: f32 };
@group(0) @binding(0) var<storage, read_write> scalars: array<f32>;
@group(0) @binding(1) var<storage, read> sums: array<vec2f>;
@group(0) @binding(2) var<storage, read> report: array<f32>;
@group(0) @binding(3) var<storage, read> hyper: Hyper;
@group(0) @binding(4) var<uniform> params: Params;

var<workgroup> partial: array<vec2f, 256>;

@compute @workgroup_size(256)
fn main(@builtin(local_invocation_index) index: u32) {
  var sum = vec2f(0.0);
  for (var i = index; i < params.blocks; i += 256u) { sum += sums[i]; }
  partial[index] = sum;
  workgroupBarrier();
  for (var half = 128u; half > 0u; half /= 2u) {
    if (index < half) { partial[index] += partial[index + half]; }
    workgroupBarrier();
  }
  if (index != 0u || report[0] == 0.0) { return; }
  let denominator = partial[0].y;
  scalars[3] = 0.0;
  if (denominator == 0.0) { return; }
  let d = scalars[0];
  let numerator = hyper.beta3 * scalars[2] + partial[0].x;
  let estimate = hyper.coefficient * numerator / denominator;
  // The largest estimate so far counts: D only grows.
  scalars[0] = max(d, estimate);
  scalars[1] = estimate;
  scalars[2] = numerator;
  scalars[3] = d;
}

// Prodigy's moments (Mishchenko & Defazio 2023), and the sums that its estimate of D is made of; a page, one workgroup a block.
// state = (m, v, s, p0) of each value; scalars = (d, last estimate, numerator, d of this step); sums = numerator, denominator of each block.
struct Params { size: u32, offset: u32 };
struct Hyper { rate: f32, decay: f32, beta1: f32, beta2: f32, beta3: f32, epsilon: f32, initial_d: f32, coefficient: f32, safeguard: f32, first: f32 };
@group(0) @binding(0) var<storage, read_write> state: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> sums: array<vec2f>;
@group(0) @binding(2) var<storage, read> values: array<f32>;
@group(0) @binding(3) var<storage, read> gradients: array<f32>;
@group(0) @binding(4) var<storage, read> factors: array<f32>;
@group(0) @binding(5) var<storage, read> report: array<f32>;
@group(0) @binding(6) var<storage, read> hyper: Hyper;
@group(0) @binding(7) var<storage, read> scalars: array<f32>;
@group(0) @binding(8) var<uniform> params: Params;

var<workgroup> partial: array<vec2f, 256>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) grid: vec3u, @builtin(local_invocation_index) index: u32) {
  let block = group.x + group.y * grid.x;
  let i = block * 256u + index;
  partial[index] = vec2f(0.0);
  if (i < params.size && report[0] != 0.0 && factors[block] > 0.0) {
    let d = scalars[0];
    let rate = d * hyper.rate * factors[block];
    // d / initial_d keeps the sums from getting too small; the estimate is their ratio.
    let scale = d / hyper.initial_d;
    let gradient = gradients[i] * report[0];
    let before = state[i];
    let start = select(before.w, values[i], hyper.first != 0.0);
    let m = hyper.beta1 * before.x + d * (1.0 - hyper.beta1) * gradient;
    let v = hyper.beta2 * before.y + d * d * (1.0 - hyper.beta2) * gradient * gradient;
    let s = hyper.beta3 * before.z + scale * select(rate, d, hyper.safeguard != 0.0) * gradient;
    state[i] = vec4f(m, v, s, start);
    partial[index] = vec2f(scale * rate * gradient * (start - values[i]), abs(s));
  }
  workgroupBarrier();
  // A tree of fixed shape: the same inputs give the same bits.
  for (var half = 128u; half > 0u; half /= 2u) {
    if (index < half) { partial[index] += partial[index + half]; }
    workgroupBarrier();
  }
  if (index == 0u && i < params.size) { sums[params.offset + block] = partial[0]; }
}

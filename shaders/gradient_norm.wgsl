// Sums of squares of a page of gradients; where FINISH, the norm of all pages and what the optimizer multiplies gradients by:
// report = [factor, norm, losses ...], factor = min(1, max_norm / (norm + 1e-6)) as torch clips, 1 without a max_norm, and
// 0 (the step is not to be applied) where the norm or a loss is not finite. Gradients that were scaled up are scaled down in both.
struct Params { size: u32, chunk: u32, offset: u32, losses: u32, max_norm: f32, unscale: f32 };
@group(0) @binding(0) var<storage, read_write> y: array<f32>;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<uniform> params: Params;

var<workgroup> sums: array<f32, 256>;

/// By the bits: compilers may assume that there are no such numbers.
fn is_finite(value: f32) -> bool { return (bitcast<u32>(value) & 0x7f800000u) != 0x7f800000u; }

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) index: u32) {
  let end = min((group.x + 1u) * params.chunk, params.size);
  var sum = 0.0;
  for (var i = group.x * params.chunk + index; i < end; i += 256u) {
    if (FINISH) { sum += x[i]; } else { sum += x[i] * x[i]; }
  }
  // A tree of fixed shape: the same inputs give the same bits.
  sums[index] = sum;
  workgroupBarrier();
  for (var half = 128u; half > 0u; half /= 2u) {
    if (index < half) { sums[index] += sums[index + half]; }
    workgroupBarrier();
  }
  if (index != 0u) { return; }
  if (!FINISH) {
    y[params.offset + group.x] = sums[0];
    return;
  }
  let norm = sqrt(sums[0]) * params.unscale;
  var finite = is_finite(sums[0]);
  for (var i = 0u; i < params.losses; i++) { finite = finite && is_finite(y[2u + i]); }
  let clipped = select(1.0, min(1.0, params.max_norm / (norm + 1e-6)), params.max_norm > 0.0);
  y[0] = select(0.0, clipped * params.unscale, finite);
  y[1] = norm;
}

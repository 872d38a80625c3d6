// Adafactor's second moments (Shazeer & Stern 2018): a running mean for each row and each column of each matrix of a page, of the mean
// square of its gradients. One workgroup a line. lines = (first value, count, stride, unused) of each.
struct Params { lines: u32 };
struct Hyper { rate: f32, beta1: f32, beta2: f32, one_minus_beta2: f32, epsilon: f32, least_scale: f32, decay: f32 };
@group(0) @binding(0) var<storage, read_write> means: array<f32>;
@group(0) @binding(1) var<storage, read> gradients: array<f32>;
@group(0) @binding(2) var<storage, read> lines: array<vec4u>;
@group(0) @binding(3) var<storage, read> report: array<f32>;
@group(0) @binding(4) var<storage, read> hyper: Hyper;
@group(0) @binding(5) var<uniform> params: Params;

var<workgroup> sums: array<f32, 64>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) grid: vec3u, @builtin(local_invocation_index) index: u32) {
  let line = group.x + group.y * grid.x;
  let live = line < params.lines && report[0] != 0.0;
  var sum = 0.0;
  var count = 1u;
  if (live) {
    let place = lines[line];
    count = place.y;
    for (var k = index; k < count; k += 64u) {
      let gradient = gradients[place.x + k * place.z] * report[0];
      sum += gradient * gradient + hyper.epsilon;
    }
  }
  // A tree of fixed shape: the same inputs give the same bits.
  sums[index] = sum;
  workgroupBarrier();
  for (var half = 32u; half > 0u; half /= 2u) {
    if (index < half) { sums[index] += sums[index + half]; }
    workgroupBarrier();
  }
  if (live && index == 0u) {
    means[line] = hyper.beta2 * means[line] + hyper.one_minus_beta2 * (sums[0] / f32(count));
  }
}

// Partial sums of (prediction - target)^2, then their sum / count; where BACKWARD: dprediction = 2 (prediction - target) dy / count.
// Forward: workgroup g adds values[g * chunk ...] and invocation 0 writes sums[g]; FINISH runs one workgroup over those sums.
struct Params { size: u32, chunk: u32, factor: f32 };
@group(0) @binding(0) var<storage, read_write> y: array<f32>;
@group(0) @binding(1) var<storage, read> prediction: array<f32>;
@group(0) @binding(2) var<storage, read> goal: array<f32>;
@group(0) @binding(3) var<storage, read> dy: array<f32>;
@group(0) @binding(4) var<uniform> params: Params;

var<workgroup> sums: array<f32, 256>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) grid: vec3u, @builtin(local_invocation_index) index: u32) {
  if (BACKWARD) {
    let i = (group.x + group.y * grid.x) * 256u + index;
    if (i < params.size) { y[i] = (prediction[i] - goal[i]) * dy[0] * params.factor; }
    return;
  }
  let end = min((group.x + 1u) * params.chunk, params.size);
  var sum = 0.0;
  for (var i = group.x * params.chunk + index; i < end; i += 256u) {
    if (FINISH) {
      sum += prediction[i];
    } else {
      let error = prediction[i] - goal[i];
      sum += error * error;
    }
  }
  // A tree of fixed shape: the same inputs give the same bits.
  sums[index] = sum;
  workgroupBarrier();
  for (var half = 128u; half > 0u; half /= 2u) {
    if (index < half) { sums[index] += sums[index + half]; }
    workgroupBarrier();
  }
  if (index == 0u) { y[group.x] = sums[0] * params.factor; }
}

// The loss of each example: the mean over its values of f(prediction - target), times its mask; where BACKWARD, the gradient towards
// the prediction. KIND 0: f = e^2; 1: pseudo-Huber, 2 c (sqrt(e^2 + c^2) - c); 2: smooth L1, 2 (sqrt(e^2 + c^2) - c).
// Forward: workgroup (g, n) adds a chunk of example n; FINISH runs one workgroup an example over those sums.
struct Params { size: u32, chunk: u32, channels: u32, factor: f32 };
@group(0) @binding(0) var<storage, read_write> y: array<f32>;
@group(0) @binding(1) var<storage, read> prediction: array<f32>;
@group(0) @binding(2) var<storage, read> goal: array<f32>;
@group(0) @binding(3) var<storage, read> dy: array<f32>;
@group(0) @binding(4) var<storage, read> deltas: array<f32>;
@group(0) @binding(5) var<storage, read> mask: array<f32>;
@group(0) @binding(6) var<uniform> params: Params;

var<workgroup> sums: array<f32, 256>;

/// sqrt(e^2 + c^2) - c, without the cancellation of small e.
fn rounded_corner(error: f32, delta: f32) -> f32 { return error * error / (sqrt(error * error + delta * delta) + delta); }

fn loss(error: f32, example: u32) -> f32 {
  if (KIND == 0u) { return error * error; }
  let delta = deltas[example];
  return select(2.0, 2.0 * delta, KIND == 1u) * rounded_corner(error, delta);
}

fn slope(error: f32, example: u32) -> f32 {
  if (KIND == 0u) { return 2.0 * error; }
  let delta = deltas[example];
  return select(2.0, 2.0 * delta, KIND == 1u) * error / sqrt(error * error + delta * delta);
}

/// The mask has one value a pixel of the latents.
fn weight(i: u32) -> f32 {
  if (MASKED) { return mask[i / params.channels]; }
  return 1.0;
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) grid: vec3u, @builtin(local_invocation_index) index: u32) {
  let example = group.y;
  let start = example * params.size;
  if (BACKWARD) {
    let i = group.x * 256u + index;
    if (i < params.size) {
      let error = prediction[start + i] - goal[start + i];
      y[start + i] = slope(error, example) * weight(start + i) * (dy[example] * params.factor);
    }
    return;
  }
  let end = min((group.x + 1u) * params.chunk, params.size);
  var sum = 0.0;
  for (var i = group.x * params.chunk + index; i < end; i += 256u) {
    if (FINISH) {
      sum += prediction[start + i];
    } else {
      sum += loss(prediction[start + i] - goal[start + i], example) * weight(start + i);
    }
  }
  // A tree of fixed shape: the same inputs give the same bits.
  sums[index] = sum;
  workgroupBarrier();
  for (var half = 128u; half > 0u; half /= 2u) {
    if (index < half) { sums[index] += sums[index + half]; }
    workgroupBarrier();
  }
  if (index == 0u) { y[example * grid.x + group.x] = sums[0] * params.factor; }
}

// What Adafactor's step needs of each matrix of a page; one workgroup a matrix. table = (offset, rows, columns, first line, factor's bits,
// unused) of each: its rows' means begin at the first line, its columns' follow. scales = (mean of the rows' means, rate of the
// update, rate of the decay, unused).
struct Hyper { rate: f32, beta1: f32, beta2: f32, one_minus_beta2: f32, epsilon: f32, least_scale: f32, decay: f32 };
@group(0) @binding(0) var<storage, read_write> scales: array<vec4f>;
@group(0) @binding(1) var<storage, read> values: array<f32>;
@group(0) @binding(2) var<storage, read> gradients: array<f32>;
@group(0) @binding(3) var<storage, read> means: array<f32>;
@group(0) @binding(4) var<storage, read> table: array<u32>;
@group(0) @binding(5) var<storage, read> report: array<f32>;
@group(0) @binding(6) var<storage, read> hyper: Hyper;

var<workgroup> sums: array<vec2f, 256>;

/// The sum over the workgroup, in an order that never changes; for all.
fn add_up(value: vec2f, index: u32) -> vec2f {
  workgroupBarrier();
  sums[index] = value;
  workgroupBarrier();
  for (var half = 128u; half > 0u; half /= 2u) {
    if (index < half) { sums[index] += sums[index + half]; }
    workgroupBarrier();
  }
  return sums[0];
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) index: u32) {
  let at = group.x * 6u;
  let offset = table[at];
  let rows = table[at + 1u];
  let columns = table[at + 2u];
  let line = table[at + 3u];
  var sum = vec2f(0.0);
  for (var row = index; row < rows; row += 256u) { sum.x += means[line + row]; }
  let row_mean = add_up(sum, index).x / f32(rows);
  sum = vec2f(0.0);
  let count = rows * columns;
  for (var i = index; i < count; i += 256u) {
    let gradient = gradients[offset + i] * report[0];
    let update = inverseSqrt(means[line + i / columns] / row_mean) * inverseSqrt(means[line + rows + i % columns]) * gradient;
    let value = values[offset + i];
    sum += vec2f(update * update, value * value);
  }
  let squares = add_up(sum, index) / f32(count);
  if (index == 0u) {
    // The update's root mean square is held to 1, and multiplied by the parameter's where that is asked for.
    let scale = select(1.0, max(hyper.least_scale, sqrt(squares.y)), hyper.least_scale > 0.0);
    let rate = hyper.rate * scale * bitcast<f32>(table[at + 4u]);
    scales[group.x] = vec4f(row_mean, rate / max(1.0, sqrt(squares.x)), rate, 0.0);
  }
}

// y[batch, chunk, column] = the sum of `chunk` rows of x[batch, row, column], one invocation a sum.
struct Params { rows: u32, columns: u32, chunk: u32 };
@group(0) @binding(0) var<storage, read_write> y: array<f32>;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) grid: vec3u) {
  let column = id.x;
  if (column >= params.columns) { return; }
  let end = min((id.y + 1u) * params.chunk, params.rows);
  var sum = 0.0;
  for (var row = id.y * params.chunk; row < end; row++) {
    sum += x[(id.z * params.rows + row) * params.columns + column];
  }
  y[(id.z * grid.y + id.y) * params.columns + column] = sum;
}

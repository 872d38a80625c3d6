// y[row, column] = sum over ranks of t[row, rank] * B[column, rank], + residual: the wide product of a LoRA on a convolution, which then goes
// into the convolution as its residual. One invocation makes four columns of a row.
struct Params { rows: u32, columns4: u32, rank: u32, has_residual: u32 };
@group(0) @binding(0) var<storage, read_write> y: array<vec4f>;
@group(0) @binding(1) var<storage, read> t: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read> residual: array<vec4f>;
@group(0) @binding(4) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) grid: vec3u) {
  let i = id.x + id.y * grid.x * 64u;
  if (i >= params.rows * params.columns4) { return; }
  let rank = params.rank;
  let first = i % params.columns4 * 4u * rank;
  let row = i / params.columns4 * rank;
  var sum = vec4f();
  if (params.has_residual != 0u) { sum = residual[i]; }
  for (var r = 0u; r < rank; r++) {
    let at = first + r;
    sum += t[row + r] * vec4f(b[at], b[at + rank], b[at + 2u * rank], b[at + 3u * rank]);
  }
  y[i] = sum;
}

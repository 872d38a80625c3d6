// norm[column] = |W + B diag(scale) A| of that row of the weights, by parts: |w|^2 + 2 b . (scale A w) + (b scale A) . (b scale A), so that
// the sum is never written out. Group g of the columns uses ranks g * rank ... of A.
// squares [columns] = |w|^2; products [ranks, columns] = A W^T; gram [ranks, ranks] = scale A A^T, scaled by its column; B [columns, rank].
struct Params { columns: u32, groups: u32, rank: u32 };
@group(0) @binding(0) var<storage, read_write> norm: array<f32>;
@group(0) @binding(1) var<storage, read> squares: array<f32>;
@group(0) @binding(2) var<storage, read> products: array<f32>;
@group(0) @binding(3) var<storage, read> gram: array<f32>;
@group(0) @binding(4) var<storage, read> b: array<f32>;
@group(0) @binding(5) var<storage, read> scale: array<f32>;
@group(0) @binding(6) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let column = id.x;
  if (column >= params.columns) { return; }
  let rank = params.rank;
  let ranks = params.groups * rank;
  let first = column / (params.columns / params.groups) * rank;
  var sum = 0.0;
  for (var r = 0u; r < rank; r++) {
    let row = first + r;
    var part = 2.0 * products[row * params.columns + column];
    for (var s = 0u; s < rank; s++) { part += b[column * rank + s] * gram[row * ranks + first + s]; }
    sum += b[column * rank + r] * scale[row] * part;
  }
  norm[column] = sqrt(max(squares[column] + sum, 0x1p-100));
}
